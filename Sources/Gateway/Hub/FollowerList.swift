import ChannelLayer
import NIOCore

/// What decides the bytes of a message besides the message: the rules of the route or the channel's namespace, and the wire.
struct Form: Sendable {
    /// Which of the gateway's different rule sets, or beyond them which of its namespaces.
    let ruleSet: Int
    /// For browsers that choose their channels.
    let client: ClientForm
    let wire: Wire

    init(ruleSet: Int, client: ClientForm = [], wire: Wire) {
        self.ruleSet = ruleSet
        self.client = client
        self.wire = wire
    }

    /// What a message becomes is the same, whatever the wire.
    func hasSameOutcome(as other: Form) -> Bool { self.ruleSet == other.ruleSet && self.client == other.client }

    func isSame(as other: Form) -> Bool { self.hasSameOutcome(as: other) && self.wire == other.wire }

    func isBefore(_ other: Form) -> Bool {
        (self.ruleSet, self.client.rawValue, self.wire.order) < (other.ruleSet, other.client.rawValue, other.wire.order)
    }
}

extension Wire {
    fileprivate var order: Int {
        switch self {
        case .webSocket: 0
        case .eventStream: 1
        case .clientStream: 2
        case .clientEvents: 3
        case .webSocketDeflate(let bits): 3 + bits
        }
    }
}

/// The followers of one group on one event loop who get the same bytes.
///
/// ```
///  deliveries of a loop turn ──▶ joined ──▶ pass ──▶ solo[0] solo[1] … solo[999] │ next turn: solo[1000] …
///                            └─▶ shared[i].stage(frame), in the order of arrival over all groups
/// ```
///
/// A browser that follows this group alone is *solo*: the frames of a turn are joined once and every solo follower's
/// socket is written once. A browser with several groups is *shared*: it must see the messages of its groups in the
/// order they came, so each frame is staged with it at once.
///
/// `@unchecked Sendable`: the `let`s are read anywhere; everything else is touched on the shard's event loop only.
final class FollowerList: @unchecked Sendable {
    let group: GroupName
    let form: Form
    let inbox: ShardInbox
    /// Which publications its followers want; `nil` for all.
    let filter: TagsFilter?
    /// What becomes of publications that a follower does not read. With any but the usual, all followers are shared.
    let slowReaders: ChannelOptions.SlowReaders

    /// `nil` marks one who left during a pass.
    private(set) var solo: ContiguousArray<Session?> = []
    private(set) var shared: ContiguousArray<Session> = []
    /// Of a list that gets patches: who has not had a publication yet, which the next patch could be for.
    private(set) var fresh: ContiguousArray<Session> = []
    /// Those who are still being told what was before.
    private(set) var joining: [Joiner] = []
    /// Of the newest publication that was sent, where the group has a stream.
    var lastOffset: UInt64 = 0
    private var gone = 0

    private var joined = ByteBuffer()
    private var pass: Pass?
    /// Whether the shard has this list among those with something to send.
    var isQueued = false

    /// A run of bytes on its way through the solo followers, `next` up to but not including `end`.
    private struct Pass {
        let bytes: ByteBuffer
        var next: Int
        let end: Int
    }

    init(
        group: GroupName, form: Form, inbox: ShardInbox, filter: TagsFilter? = nil,
        slowReaders: ChannelOptions.SlowReaders = .disconnect
    ) {
        self.filter = filter
        self.slowReaders = slowReaders
        self.group = group
        self.form = form
        self.inbox = inbox
    }

    var isEmpty: Bool { self.count == 0 }
    var count: Int {
        self.shared.count &+ self.solo.count &- self.gone &+ self.joining.count &+ self.fresh.count
    }

    /// - Parameter key: what newer publications replace older ones by.
    func yielding(_ key: String) -> OutboundQueue.Yielding {
        switch self.slowReaders {
        case .disconnect: .never
        case .dropOldest: .toRoom
        case .conflate:
            // A random seed makes it hard to find two keys that meet.
            .toNewer(mark: Mark(group: self.group, key: key).hashValue)
        }
    }

    private struct Mark: Hashable {
        let group: GroupName
        let key: String
    }

    // MARK: Members

    /// - Parameter isShared: it follows several groups; who gets patches is always told one by one.
    func add(_ session: Session, shared isShared: Bool) -> Membership {
        if self.form.client.contains(.delta) {
            self.fresh.append(session)
            return Membership(list: self, index: self.fresh.count &- 1, isShared: true, isFresh: true)
        }
        if isShared || self.slowReaders != .disconnect {
            self.shared.append(session)
            return Membership(list: self, index: self.shared.count &- 1, isShared: true)
        }
        self.solo.append(session)
        return Membership(list: self, index: self.solo.count &- 1, isShared: false)
    }

    /// The fresh ones have had a publication.
    func endFreshness() {
        guard !self.fresh.isEmpty else { return }
        for session in self.fresh {
            self.shared.append(session)
            session.moved(in: self, to: self.shared.count &- 1)
        }
        self.fresh.removeAll()
    }

    /// Takes in a session that is to hear what comes from now on, but later.
    func join(_ session: Session) -> Membership {
        let joiner = Joiner(session)
        self.joining.append(joiner)
        return Membership(list: self, index: -1, isShared: true, joiner: joiner)
    }

    func remove(_ membership: Membership) {
        let index = membership.index
        if let joiner = membership.joiner {
            self.joining.removeAll { $0 === joiner }
        } else if membership.isFresh {
            guard index < self.fresh.count, let last = self.fresh.popLast(), index < self.fresh.count else { return }
            self.fresh[index] = last
            last.moved(in: self, to: index, isFresh: true)
        } else if membership.isShared {
            guard index < self.shared.count, let last = self.shared.popLast(), index < self.shared.count else { return }
            self.shared[index] = last
            last.moved(in: self, to: index)
        } else if self.pass != nil {
            // A pass must meet each of the others exactly once: nobody moves until it is through.
            guard index < self.solo.count, self.solo[index] != nil else { return }
            self.solo[index] = nil
            self.gone &+= 1
        } else {
            guard index < self.solo.count, let last = self.solo.popLast(), index < self.solo.count else { return }
            self.solo[index] = last
            last?.moved(in: self, to: index)
        }
    }

    // MARK: Sending

    /// Something waits for the solo followers.
    var hasWork: Bool { self.pass != nil || self.joined.readableBytes > 0 }

    /// Joins a frame to what goes out next.
    func join(_ frame: ByteBuffer) {
        guard !self.solo.isEmpty else { return }
        if self.joined.readableBytes == 0 {
            // The only frame of most turns goes out as it is, uncopied.
            self.joined = frame
        } else {
            self.joined.writeImmutableBuffer(frame)
        }
    }

    /// Sends to at most `limit` followers and returns to how many.
    func advance(limit: Int) -> Int {
        if self.pass == nil {
            guard self.joined.readableBytes > 0 else { return 0 }
            self.pass = Pass(bytes: self.joined, next: 0, end: self.solo.count)
            self.joined = ByteBuffer()
        }
        guard let pass = self.pass else { return 0 }
        let start = pass.next
        let stop = limit >= pass.end &- start ? pass.end : start &+ limit
        // A constant of its own: a buffer that could change would be retained and released for every follower.
        let bytes = pass.bytes
        for index in start..<stop { self.solo[index]?.send(bytes) }
        let isDone = stop >= pass.end
        if isDone { self.pass = nil } else { self.pass?.next = stop }
        if isDone, self.gone > 0 { self.closeGaps() }
        return stop &- start
    }

    /// Sends to one solo follower what it has not got yet of what is on its way. It must leave the solo ones then.
    func sendPending(to membership: Membership) {
        guard !membership.isShared, membership.index < self.solo.count, let session = self.solo[membership.index] else {
            return
        }
        if let pass = self.pass, membership.index >= pass.next, membership.index < pass.end { session.send(pass.bytes) }
        if self.joined.readableBytes > 0 { session.send(self.joined) }
    }

    /// Everybody, for the rare message that sends browsers away.
    func everybody() -> [Session] {
        self.solo.compactMap { $0 } + self.shared + self.fresh + self.joining.map(\.session)
    }

    private func closeGaps() {
        self.solo.removeAll { $0 == nil }
        self.gone = 0
        for (index, session) in self.solo.enumerated() { session?.moved(in: self, to: index) }
    }
}

/// A session's place in one list.
struct Membership {
    let list: FollowerList
    var index: Int
    let isShared: Bool
    /// It has not had a publication yet that a patch could be for.
    var isFresh = false
    /// While it has no place there yet.
    var joiner: Joiner?
}

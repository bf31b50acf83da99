import ChannelLayer
package import NIOCore
import Synchronization

/// The part of the hub that belongs to one event loop: its sessions, whom they follow, their timers.
///
/// `@unchecked Sendable`: everything but the `let`s is touched on `eventLoop` only; other threads reach it through the
/// inbox or `eventLoop.execute`.
package final class HubShard: @unchecked Sendable {
    package let eventLoop: any EventLoop
    private let audiences: Audiences
    let metrics: GatewayMetrics
    /// Followers written to in one loop turn; then reads, pings and other groups have their turn.
    let slice: Int
    var keeper: FeedKeeper?
    let bridge: GroupBridge?

    var groups: [GroupName: ShardGroup] = [:]
    private(set) var sessions: ContiguousArray<Session> = []
    private(set) var connections = ConnectionIndex()
    /// Sessions whose connection has not ended, also those that have been sent away; kept by the sessions.
    var living = 0
    var wheel = TimerWheel<Session>()
    /// Connections that are not let in yet.
    var handshakes = TimerWheel<ConnectionHandler>()
    private var ticking: RepeatedTask?
    /// Seconds since the shard was made; what sessions measure silence with.
    private(set) var now = 0

    /// For the sessions of this loop alone, so that a bomb on another loop keeps nobody here waiting.
    private(set) lazy var inflater = Inflater()

    /// What was missed, as it was written for those who came back.
    let runs = WrittenRuns()

    var inboxBox: ShardInbox?
    var arrived: ContiguousArray<Delivery> = []
    var queued: CircularBuffer<FollowerList> = .init(initialCapacity: 16)
    var staged: CircularBuffer<Session> = .init(initialCapacity: 16)
    var isRunning = false
    /// Browsers are about to move to another gateway: no time passes, and nothing is read from them.
    var isPaused = false
    /// The layer was away meanwhile.
    var owesGap = false
    /// Who moves; see `HubShard+Takeover`.
    var leaving: [LeavingConnection] = []
    /// The hub's own clock; on one of the shards.
    var everySecond: (() -> Void)?
    /// Other gateways are heard.
    let hears = Atomic(false)
    /// Who is to be told of a loss, a few at a time.
    var losses: [(client: ClientSession, channel: String)] = []

    init(
        eventLoop: any EventLoop, audiences: Audiences, bridge: GroupBridge? = nil, slice: Int, metrics: GatewayMetrics
    ) {
        self.bridge = bridge
        self.eventLoop = eventLoop
        self.audiences = audiences
        self.slice = max(slice, 1)
        self.metrics = metrics
    }

    /// - Parameter runsClock: whether seconds pass by themselves.
    func start(with keeper: FeedKeeper, runsClock: Bool) {
        let inbox = ShardInbox(eventLoop: self.eventLoop) { [weak self] in self?.drain() }
        self.eventLoop.execute {
            self.keeper = keeper
            self.inboxBox = inbox
            guard runsClock else { return }
            self.ticking = self.eventLoop.scheduleRepeatedTask(
                initialDelay: .seconds(1), delay: .seconds(1)
            ) { [weak self] _ in self?.tick() }
        }
    }

    func stop() {
        self.eventLoop.execute {
            self.ticking?.cancel()
            self.ticking = nil
            self.keeper?.close()
        }
    }

    // MARK: Sessions

    /// Takes in a session whose groups are acquired: from now on it hears them.
    func enter(_ session: Session) {
        session.registryIndex = self.sessions.count
        self.sessions.append(session)
        let isShared = session.groups.count > 1
        for group in session.groups { self.add(session, to: group, as: session.form, shared: isShared) }
    }

    /// Lets a session that has entered be found by its user, from now on until it leaves.
    func list(_ session: Session) {
        guard session.registryIndex >= 0 else { return }
        self.connections.add(session)
    }

    /// Lets a session that has entered hear one more group, which is acquired for it. Its first group it follows solo; with
    /// a second one it is shared, and remains it.
    ///
    /// - Parameters:
    ///   - isHeld: what comes is kept for it until `release`.
    ///   - filter: which of its publications; `nil` for all.
    func follow(
        _ group: GroupName, for session: Session, as form: Form, isHeld: Bool = false,
        filter: TagsFilter? = nil, slowReaders: ChannelOptions.SlowReaders = .disconnect
    ) {
        self.makeShared(session)
        // What was on its way to it may have been too much for it.
        guard session.registryIndex >= 0 else {
            self.release(channel: group)
            return
        }
        guard let list = self.list(of: group, as: form, filter, slowReaders) else { return }
        let membership = isHeld ? list.join(session) : list.add(session, shared: !session.memberships.isEmpty)
        session.memberships.append(membership)
        self.audiences.subscriptions.wrappingAdd(1, ordering: .relaxed)
    }

    /// Sends a held follower what has come after `top`, which it knows already; from now on it hears the group like others.
    ///
    /// - Returns: whether nothing is missing between them.
    func release(_ group: GroupName, for session: Session, after top: UInt64) -> Bool {
        guard let joiner = session.memberships.last(where: { $0.list.group == group })?.joiner else { return true }
        guard let kept = joiner.release(after: top) else { return false }
        for bytes in kept where bytes.readableBytes > 0 { session.send(bytes) }
        self.seatIfReady(joiner, group)
        return true
    }

    func seatIfReady(_ joiner: Joiner, _ group: GroupName) {
        let session = joiner.session
        guard let index = session.memberships.lastIndex(where: { $0.joiner === joiner }) else { return }
        let membership = session.memberships[index]
        guard joiner.isReady(at: membership.list.lastOffset) else { return }
        membership.list.remove(membership)
        // What is on its way to the solo ones it has got already, or shall not get.
        let isShared = session.memberships.count > 1 || membership.list.hasWork
        session.memberships[index] = membership.list.add(session, shared: isShared)
    }

    /// Ends what `follow` began. What is still on a pass to the session is dropped.
    func unfollow(_ group: GroupName, for session: Session) {
        guard let index = session.memberships.firstIndex(where: { $0.list.group == group }) else { return }
        self.end(session.memberships.remove(at: index), of: session)
    }

    private func add(_ session: Session, to group: GroupName, as form: Form, shared isShared: Bool) {
        guard let list = self.list(of: group, as: form) else { return }
        session.memberships.append(list.add(session, shared: isShared))
        self.audiences.subscriptions.wrappingAdd(1, ordering: .relaxed)
    }

    private func list(
        of group: GroupName, as form: Form, _ filter: TagsFilter? = nil,
        _ slowReaders: ChannelOptions.SlowReaders = .disconnect
    ) -> FollowerList? {
        guard let inbox = self.inboxBox, let entry = self.groups[group] else { return nil }
        if let known = entry.lists.first(where: { $0.form.isSame(as: form) && $0.filter == filter }) {
            return known
        }
        let list = FollowerList(group: group, form: form, inbox: inbox, filter: filter, slowReaders: slowReaders)
        entry.lists.append(list)
        self.audiences.add(list)
        return list
    }

    /// Moves a solo follower to the shared ones of its list, after it was sent what was on its way to it as a solo one.
    private func makeShared(_ session: Session) {
        guard let solo = session.memberships.first, !solo.isShared else { return }
        solo.list.sendPending(to: solo)
        guard let membership = session.memberships.first else { return }
        membership.list.remove(membership)
        session.memberships[0] = membership.list.add(session, shared: true)
    }

    /// The end of one membership and of what was acquired for it.
    private func end(_ membership: Membership, of session: Session) {
        let list = membership.list
        list.remove(membership)
        if list.isEmpty {
            self.audiences.remove(list)
            self.groups[list.group]?.lists.removeAll { $0 === list }
        }
        // Last: whoever sees that there are none any more sees no groups either.
        self.audiences.subscriptions.wrappingSubtract(1, ordering: .relaxed)
        if session.client == nil { self.release([list.group]) } else { self.release(channel: list.group) }
    }

    /// Forgets a session. What is still staged or on a pass for it is dropped with it.
    func leave(_ session: Session) {
        self.wheel.remove(session)
        guard session.registryIndex >= 0 else { return }
        if session.registryIndex < self.sessions.count, let last = self.sessions.popLast(), last !== session {
            self.sessions[session.registryIndex] = last
            last.registryIndex = session.registryIndex
        }
        session.registryIndex = -1
        self.connections.remove(session)
        let memberships = session.memberships
        session.memberships = []
        for membership in memberships { self.end(membership, of: session) }
    }

    // MARK: Who follows

    /// How many sessions follow each group.
    var followerCounts: some Sequence<(GroupName, Int)> {
        self.groups.lazy.map { ($0.key, $0.value.lists.reduce(0) { $0 + $1.count }) }
    }

    func followers(of group: GroupName) -> [Session] { self.groups[group]?.lists.flatMap { $0.everybody() } ?? [] }

    // MARK: Time

    /// A second has passed.
    func tick() {
        guard !self.isPaused else { return }
        self.now &+= 1
        self.everySecond?()
        self.runs.secondPassed()
        for session in self.wheel.tick() { session.timeIsUp() }
        for connection in self.handshakes.tick() { connection.timeIsUp() }
    }

    private static let drainStep = Duration.milliseconds(50)

    /// Sends everybody away, evenly over `duration`. Returns when all have gone; at the latest a second after `duration`,
    /// which is for those who have not read their close yet.
    func drain(within duration: Duration) async {
        let steps = max(Int(duration / Self.drainStep), 1)
        let grace = Int(.seconds(1) / Self.drainStep)
        for step in 0..<(steps + grace) {
            let isDone = try? await self.eventLoop.submit {
                let left = max(steps - step, 1)
                let share = (self.sessions.count + left - 1) / left
                for session in Array(self.sessions.suffix(share)) { session.shutDown() }
                return self.living == 0
            }.get()
            if isDone != false { break }
            try? await Task.sleep(for: Self.drainStep)
        }
    }
}

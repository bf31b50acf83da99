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
    private let metrics: GatewayMetrics
    /// Followers written to in one loop turn; then reads, pings and other groups have their turn.
    private let slice: Int
    private var keeper: FeedKeeper?
    private let bridge: GroupBridge?

    private var groups: [GroupName: ShardGroup] = [:]
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

    private var inboxBox: ShardInbox?
    private var arrived: ContiguousArray<Delivery> = []
    private var queued: CircularBuffer<FollowerList> = .init(initialCapacity: 16)
    private var staged: CircularBuffer<Session> = .init(initialCapacity: 16)
    private var isRunning = false
    /// Browsers are about to move to another gateway: no time passes, and nothing is read from them.
    var isPaused = false
    /// The layer was away meanwhile.
    var owesGap = false
    /// Who moves; see `HubShard+Takeover`.
    var leaving: [LeavingConnection] = []
    /// The hub's own clock; on one of the shards.
    var everySecond: (() -> Void)?
    /// Who is to be told of a loss, a few at a time.
    private var losses: [(client: ClientSession, channel: String)] = []

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

    // MARK: Following

    /// Other gateways are heard.
    let hears = Atomic(false)

    /// Follows groups for as long as the gateway lives, and tries again while the layer cannot.
    ///
    /// - Parameter then: called when they are followed.
    func hear(_ groups: [GroupName], then: @escaping @Sendable () -> Void) {
        self.eventLoop.execute {
            self.acquire(groups) { error in
                guard error != nil else { return then() }
                self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
                    self?.hear(groups, then: then)
                }
            }
        }
    }

    /// As `acquire`, for a group that is followed as a channel, with all that is heard in it.
    func acquire(channel group: GroupName, completion: @escaping (LayerError?) -> Void) {
        let others = self.bridge?.begin(group) ?? []
        self.acquire([group] + others) { [bridge] error in
            if error != nil { _ = bridge?.end(group) }
            completion(error)
        }
    }

    /// Ends what `acquire(channel:)` began.
    func release(channel group: GroupName) { self.release([group] + (self.bridge?.end(group) ?? [])) }

    /// Makes sure that the process hears `groups`. Each success is ended by `release`.
    ///
    /// - Parameter completion: called once on this loop, perhaps at once; with an error nothing is held.
    func acquire(_ groups: [GroupName], completion: @escaping (LayerError?) -> Void) {
        let missing = groups.filter { self.groups[$0]?.isReady != true }
        for group in groups { self.groups[group]?.wanted &+= 1 }
        guard !missing.isEmpty else {
            completion(nil)
            return
        }
        let waiting = Countdown(missing.count) { [weak self] error in
            if error != nil { self?.release(groups) }
            completion(error)
        }
        for group in missing {
            if let known = self.groups[group] {
                known.waiting.append(waiting)
                continue
            }
            let entry = ShardGroup()
            entry.wanted = groups.count { $0 == group }
            entry.waiting = [waiting]
            self.groups[group] = entry
            self.follow(group, entry)
        }
    }

    /// Ends what `acquire` began.
    func release(_ groups: [GroupName]) {
        for group in groups {
            guard let entry = self.groups[group] else { continue }
            entry.wanted &-= 1
            guard entry.wanted <= 0 else { continue }
            self.groups[group] = nil
            if entry.isFollowed { self.keeper?.unfollow(group, for: self) }
        }
    }

    private func follow(_ group: GroupName, _ entry: ShardGroup) {
        guard let keeper = self.keeper else { return }
        entry.isFollowed = true
        let entry = NIOLoopBound(entry, eventLoop: self.eventLoop)
        keeper.follow(group, for: self) { error in
            self.eventLoop.execute { self.followed(entry.value, error) }
        }
    }

    private func followed(_ entry: ShardGroup, _ error: LayerError?) {
        entry.isReady = error == nil
        if error != nil { entry.isFollowed = false }
        let waiting = entry.waiting
        entry.waiting = []
        for countdown in waiting { countdown.done(error) }
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

    private func seatIfReady(_ joiner: Joiner, _ group: GroupName) {
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
        self.audiences.subscriptions.wrappingSubtract(1, ordering: .relaxed)
        if list.isEmpty {
            self.audiences.remove(list)
            self.groups[list.group]?.lists.removeAll { $0 === list }
        }
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

    // MARK: Delivering

    /// Everything that arrived since the last look: joined per list, or staged with those who follow several groups.
    private func drain() {
        self.inboxBox?.take(into: &self.arrived)
        for delivery in self.arrived {
            let list = delivery.list
            switch delivery.frame {
            case .bytes(let bytes) where bytes.readableBytes == 0:
                list.lastOffset = delivery.offset
                if !list.joining.isEmpty { self.hold(bytes, delivery.offset, list) }
            case .bytes(let bytes):
                list.join(bytes)
                if !list.isQueued, list.hasWork {
                    list.isQueued = true
                    self.queued.append(list)
                }
                if let key = delivery.key {
                    let yielding = list.yielding(key)
                    for session in list.shared where session.stage(bytes, yielding: yielding) {
                        self.staged.append(session)
                    }
                } else {
                    let patched = delivery.patch ?? bytes
                    for session in list.shared where session.stage(patched) { self.staged.append(session) }
                }
                for session in list.fresh where session.stage(bytes) { self.staged.append(session) }
                if delivery.isBase { list.endFreshness() }
                if delivery.offset > 0 { list.lastOffset = delivery.offset }
                if !list.joining.isEmpty { self.hold(bytes, delivery.offset, list) }
            case .close(let code, let reason):
                // What was said before must go out before.
                while list.hasWork { self.count(list.advance(limit: .max)) }
                for session in list.everybody() { session.sendAway(code, reason: reason) }
            case .notice(let notice):
                if notice == .lost {
                    list.lastOffset = 0
                    for joiner in list.joining { joiner.isBroken = true }
                }
                for session in list.everybody() { session.client?.hear(notice, in: list.group) }
            }
        }
        self.arrived.removeAll(keepingCapacity: true)
        if !self.isRunning { self.run() }
    }

    /// Keeps what arrives for those who still have to hear what was before, or sends it to who has.
    private func hold(_ bytes: ByteBuffer, _ offset: UInt64, _ list: FollowerList) {
        for joiner in list.joining {
            if joiner.takes(bytes, offset), bytes.readableBytes > 0 {
                joiner.session.flushStaged()
                joiner.session.send(bytes)
            }
            self.seatIfReady(joiner, list.group)
        }
    }

    /// Writes to at most one slice of followers; the rest waits for another loop turn.
    private func run() {
        var room = self.slice
        while room > 0, let list = self.queued.popFirst() {
            let reached = list.advance(limit: room)
            self.count(reached)
            room &-= max(reached, 1)
            if list.hasWork { self.queued.append(list) } else { list.isQueued = false }
        }
        while room > 0, let session = self.staged.popFirst() {
            self.count(1)
            session.flushStaged()
            room &-= 1
        }
        self.isRunning = !self.queued.isEmpty || !self.staged.isEmpty
        if self.isRunning { self.nextTurn { self.run() } }
    }

    /// Writes all that has arrived, without the pauses between slices.
    func finishDeliveries() {
        self.drain()
        while let list = self.queued.popFirst() {
            while list.hasWork { self.count(list.advance(limit: .max)) }
            list.isQueued = false
        }
        while let session = self.staged.popFirst() {
            self.count(1)
            session.flushStaged()
        }
    }

    private func count(_ deliveries: Int) {
        if deliveries > 0 { self.metrics.deliveries.increment(by: deliveries) }
    }

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

    /// The layer was away: those whose route wants to know are told, a slice of them in each loop turn, and after what was
    /// said before.
    func tellGap() {
        // Which the takeover does not survive.
        guard !self.isPaused else {
            self.owesGap = true
            return
        }
        self.finishDeliveries()
        self.tellGap(Array(self.sessions)[...])
    }

    private func tellGap(_ sessions: ArraySlice<Session>) {
        for session in sessions.prefix(self.slice) { session.tellGap() }
        let rest = sessions.dropFirst(self.slice)
        guard !rest.isEmpty else { return }
        self.nextTurn { self.tellGap(rest) }
    }

    // MARK: Losses

    /// Tells a browser of a lost channel before long: all come back when they know, so they do not all know at once.
    func tellLost(_ client: ClientSession, _ channel: String) {
        self.losses.append((client, channel))
        if self.losses.count == 1 { self.scheduleLosses() }
    }

    private static let lossesAtOnce = 20

    private func scheduleLosses() {
        self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(10)) {
            for _ in 0..<min(Self.lossesAtOnce, self.losses.count) {
                self.losses.swapAt(Int.random(in: self.losses.indices), self.losses.count - 1)
                guard let (client, channel) = self.losses.popLast() else { break }
                client.tellLost(channel)
            }
            if !self.losses.isEmpty { self.scheduleLosses() }
        }
    }

    /// Runs `body` after the loop has looked at its sockets; `execute` would run it before.
    private func nextTurn(_ body: @escaping () -> Void) {
        self.eventLoop.assumeIsolated().scheduleTask(in: .microseconds(20), body)
    }
}

/// A group as one shard knows it.
private final class ShardGroup {
    /// Sessions that follow it or wait to.
    var wanted = 0
    var isReady = false
    /// The keeper was asked for it and has not refused.
    var isFollowed = false
    var waiting: [Countdown] = []
    var lists: [FollowerList] = []
}

/// Calls back when the last of several things is done, with the first error among them.
private final class Countdown {
    private var left: Int
    private var error: LayerError?
    private let completion: (LayerError?) -> Void

    init(_ count: Int, completion: @escaping (LayerError?) -> Void) {
        self.left = count
        self.completion = completion
    }

    func done(_ error: LayerError?) {
        self.error = self.error ?? error
        self.left &-= 1
        if self.left == 0 { self.completion(self.error) }
    }
}

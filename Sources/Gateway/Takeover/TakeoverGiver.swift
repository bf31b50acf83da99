import ChannelLayer
import Glibc
import NIOCore

/// The old gateway's part of one takeover, on a plain thread that may block. Until `commit` is sent everything can go on
/// here as it was, and does when anything fails.
struct TakeoverGiver {
    /// Browsers that are looked at in one loop turn.
    private static let slice = 256
    /// How long handshakes and full sockets are waited for; who is not ready then stays here, and is sent away with 1012.
    private static let patience = 200
    /// How often both gateways listen together at most until the old one has not stood still meanwhile.
    private static let attempts = 5

    let server: GatewayServer
    let link: TakeoverLink

    private var hub: Hub { self.server.context.hub }
    private var skew: UInt64 { self.server.context.takeoverSkew }

    /// - Returns: how many browsers moved.
    func run() throws -> Int {
        guard self.link.isOfSameUser else { throw TakeoverLink.Fault("it is a process of another user") }
        guard case (.hello(let version), _) = try self.link.receive() else { throw Self.unexpected }
        guard version == TakeoverMessage.version else {
            let fault = TakeoverLink.Fault(
                "the new gateway speaks version \(version) of takeovers, the old one \(TakeoverMessage.version)",
                .version)
            try? self.link.send(.abort(reason: "\(fault)"))
            throw fault
        }
        let interruptions = self.hub.interruptions.load(ordering: .relaxed)
        let sockets = try self.server.pauseListening()
        do {
            try self.wait { !$0.isAdmitting }
            try self.offer(sockets)
            let (moving, refused) = try self.move()
            // What this gateway did not hear cannot be told from what the other one alone has heard.
            guard self.hub.interruptions.load(ordering: .relaxed) == interruptions else {
                throw TakeoverLink.Fault("the layer was away meanwhile")
            }
            try self.link.send(.commit)
            // From here on the other gateway has them.
            let count = try self.passOn(moving, but: refused)
            self.server.endListening(sockets)
            return count
        } catch {
            try? self.link.send(.abort(reason: "\(error)"))
            self.goOn()
            self.server.resumeListening(sockets)
            throw error
        }
    }

    static let unexpected = TakeoverLink.Fault("the other gateway spoke out of turn")

    // MARK: Before the cut

    private func offer(_ sockets: ListeningSockets) throws {
        try self.link.send(.offer(version: TakeoverMessage.version, process: getpid()))
        for listener in sockets.listeners {
            try self.link.send(.listener(address: "\(listener.address)"), passing: listener.descriptor)
        }
        if let takeover = self.server.takeoverListener {
            try self.link.send(.takeoverListener, passing: takeover)
        }
        if let handoff = sockets.handoff {
            try self.link.send(.handoffListener(path: handoff.path), passing: handoff.listener)
            for router in handoff.routers { try self.link.send(.router, passing: router) }
        }
        try self.send(self.hub.groupNames) { .groups($0) }
        try self.send(self.hub.channelNames) { .channels($0) }
        try self.link.send(.groupsEnd)
        guard case (.following, _) = try self.link.receive(seconds: 60) else { throw Self.unexpected }
        // Who stands still hears late what the other one has heard in time, and would cut before it has heard it.
        for _ in 0..<Self.attempts {
            if self.note() { return }
        }
        self.server.context.stoodStill(Self.attempts)
    }

    /// What was sent before the other one followed must have come here; then what is noted came, or comes, to both.
    ///
    /// - Returns: whether this process had its turns all the time.
    private func note() -> Bool {
        self.sleep(self.skew / 2)
        self.hub.tap.startNoting()
        let pause = self.skew / 10
        for _ in 0..<25 {
            let start = NIODeadline.now()
            self.sleep(pause)
            guard NIODeadline.now() - start < .nanoseconds(Int64(clamping: self.skew / 2)) else { return false }
        }
        return true
    }

    private func send(_ groups: [GroupName], as message: ([String]) -> TakeoverMessage) throws {
        for start in stride(from: 0, to: groups.count, by: 500) {
            try self.link.send(message(groups[start..<min(start + 500, groups.count)].map(\.text)))
        }
    }

    // MARK: The cut

    private func move() throws -> (moving: [(shard: HubShard, place: Int)], refused: Set<Int>) {
        try self.onShards { $0.pause() }
        let (log, cut) = self.hub.tap.hold()
        var rest = log[...]
        while !rest.isEmpty {
            try self.link.send(.log(Array(rest.prefix(1_000))))
            rest = rest.dropFirst(1_000)
        }
        try self.link.send(.cut(time: cut))
        try self.onShards { $0.finishDeliveries() }
        try self.wait { $0.isReadyToMove }
        // What was missed before the cut may have been read meanwhile.
        try self.onShards { $0.finishDeliveries() }
        var moving: [(shard: HubShard, place: Int)] = []
        for shard in self.hub.shards {
            let count = try shard.eventLoop.submit { shard.beginMoving() }.wait()
            for start in stride(from: 0, to: count, by: Self.slice) {
                let places = start..<min(start + Self.slice, count)
                let connections = try shard.eventLoop.submit { shard.moving(places) }.wait()
                defer { for connection in connections { close(connection.descriptor) } }
                for connection in connections {
                    try self.link.send(connection.message, passing: connection.descriptor)
                    moving.append((shard, connection.place))
                }
            }
        }
        try self.link.send(.end)
        guard case (.prepared(let refused), _) = try self.link.receive(seconds: 60) else { throw Self.unexpected }
        return (moving, Set(refused.map { Int($0) }))
    }

    // MARK: After it

    private func passOn(_ moving: [(shard: HubShard, place: Int)], but refused: Set<Int>) throws -> Int {
        let gone = moving.enumerated().filter { !refused.contains($0.offset) }.map(\.element)
        for shard in self.hub.shards {
            let places = gone.filter { $0.shard === shard }.map(\.place)
            try shard.eventLoop.submit { shard.passOn(places) }.wait()
        }
        self.goOn()
        return gone.count
    }

    /// For those who are here: after a failure everybody, else those who could not move.
    private func goOn() {
        try? self.onShards { $0.resume() }
        let hub = self.hub
        hub.tap.release { hub.deliver($0, in: $1) }
    }

    // MARK: Waiting

    private func onShards(_ body: @escaping @Sendable (HubShard) -> Void) throws {
        for shard in self.hub.shards { try shard.eventLoop.submit { body(shard) }.wait() }
    }

    /// Until `isDone` on all shards, or patience ends.
    private func wait(until isDone: @escaping @Sendable (HubShard) -> Bool) throws {
        for _ in 0..<Self.patience {
            let isAllDone = try self.hub.shards.allSatisfy { shard in
                try shard.eventLoop.submit { isDone(shard) }.wait()
            }
            if isAllDone { return }
            self.sleep(5_000_000)
        }
    }

    private func sleep(_ nanoseconds: UInt64) {
        var rest = timespec(
            tv_sec: Int(clamping: nanoseconds / 1_000_000_000), tv_nsec: Int(clamping: nanoseconds % 1_000_000_000))
        while true {
            var left = timespec()
            guard nanosleep(&rest, &left) != 0, errno == EINTR else { return }
            rest = left
        }
    }
}

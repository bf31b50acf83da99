import CDescriptors
import ChannelLayer
import Glibc
import NIOCore
import Settings

/// The new gateway's part of a takeover, on a plain thread that may block. Whatever fails before `commit` leaves the old
/// gateway as it was; the descriptors that came are closed then.
final class TakeoverTaker {
    let server: GatewayServer
    private let link: TakeoverLink
    /// Readable when the old gateway's process has ended; -1 when that is not to be known.
    private var process: CInt = -1
    private var sockets = ListeningSockets()
    private var groups: [GroupName] = []
    /// Those that are followed as channels.
    var channels: [GroupName] = []
    private var isHoldingGroups = false
    var browsers: [(continuation: ConnectionHandler.Continuation, descriptor: CInt)] = []
    private var refused: [UInt32] = []
    private var log: [HeardMessage] = []
    private var cut: UInt64 = 0
    private var interruptions = 0

    var hub: Hub { self.server.context.hub }

    init(server: GatewayServer, link: TakeoverLink) {
        self.server = server
        self.link = link
    }

    deinit { if self.process >= 0 { close(self.process) } }

    /// - Returns: what to listen on from now on, and how many browsers came.
    func run() throws -> (sockets: ListeningSockets, count: Int) {
        do {
            try self.prepare()
            guard case (.commit, _) = try self.link.receive(seconds: 30) else { throw TakeoverGiver.unexpected }
        } catch {
            guard self.isAlone(after: error) else {
                try? self.link.send(.abort(reason: "\(error)"))
                self.giveUp()
                throw error
            }
            self.server.context.orphaned(self.browsers.count)
        }
        self.adopt()
        return (self.sockets, self.browsers.count)
    }

    /// Whether the old gateway is dead: then nobody else has the browsers that have come. That the connection has ended is
    /// not enough, because the old one ends it too when it keeps them.
    private func isAlone(after error: any Error) -> Bool {
        guard (error as? TakeoverLink.Fault)?.kind == .gone, self.process >= 0 else { return false }
        var wait = pollfd(fd: self.process, events: Int16(POLLIN), revents: 0)
        // A process closes its sockets a moment before it has ended.
        return poll(&wait, 1, 1_000) > 0
    }

    // MARK: Before the commit

    private func prepare() throws {
        try self.link.send(.hello(version: TakeoverMessage.version))
        // It may be a bridge that is just taking over itself.
        guard case (.offer(let version, let process), _) = try self.link.receive(seconds: 30) else {
            throw TakeoverGiver.unexpected
        }
        self.process = cdescriptors_open_process(process)
        guard version == TakeoverMessage.version else {
            throw TakeoverLink.Fault("the gateway that runs speaks version \(version) of takeovers")
        }
        while try self.takeOffer() {}
        self.interruptions = self.hub.interruptions.load(ordering: .relaxed)
        self.hub.tap.startRecording(skew: self.server.context.takeoverSkew)
        try self.follow()
        try self.link.send(.following)
        while try self.takeBrowser() {}
        try self.awaitStore()
        guard !self.wasInterrupted else { throw TakeoverLink.Fault("the layer was away meanwhile") }
        try self.link.send(.prepared(refused: self.refused))
    }

    /// - Returns: whether more of the offer comes.
    private func takeOffer() throws -> Bool {
        let (message, descriptor) = try self.link.receive()
        switch message {
        case .listener(let text) where descriptor >= 0:
            guard let address = try? ListenAddress(text) else {
                close(descriptor)
                throw TakeoverLink.Fault("\(text) is no address")
            }
            self.sockets.listeners.append(.init(address: address, descriptor: descriptor))
        case .handoffListener(let path) where descriptor >= 0:
            self.sockets.handoff = .init(path: path, listener: descriptor, routers: [])
        case .router where descriptor >= 0 && self.sockets.handoff != nil:
            self.sockets.handoff?.routers.append(descriptor)
        case .takeoverListener where descriptor >= 0 && self.sockets.takeover == nil:
            self.sockets.takeover = descriptor
        case .groups(let names): self.groups += names.map { GroupName(unchecked: $0) }
        case .channels(let names): self.channels += names.map { GroupName(unchecked: $0) }
        case .groupsEnd: return false
        default:
            if descriptor >= 0 { close(descriptor) }
            throw TakeoverGiver.unexpected
        }
        return true
    }

    /// All groups at once, by the first shard; the others join it when their browsers come.
    private func follow() throws {
        guard let shard = self.hub.shards.first, !self.groups.isEmpty else { return }
        let promise = shard.eventLoop.makePromise(of: Void.self)
        let (groups, channels) = (self.groups, self.channels)
        shard.eventLoop.execute {
            shard.acquire(groups, channels: channels) { error in
                if let error { promise.fail(error) } else { promise.succeed() }
            }
        }
        try promise.futureResult.wait()
        self.isHoldingGroups = true
        try self.wakeStore()
    }

    private func takeBrowser() throws -> Bool {
        let (message, descriptor) = try self.link.receive(seconds: 60)
        switch message {
        case .log(let log): self.log += log
        case .cut(let time): self.cut = time
        case .session(let bytes) where descriptor >= 0: self.take(descriptor) { try self.session(bytes) }
        case .newcomer(let head) where descriptor >= 0: self.take(descriptor) { .newcomer(head) }
        case .end: return false
        case .session, .newcomer:
            throw TakeoverLink.Fault("a browser came without its socket: this process may open too few files")
        default:
            if descriptor >= 0 { close(descriptor) }
            throw TakeoverGiver.unexpected
        }
        return true
    }

    private var count: UInt32 = 0

    private func take(_ descriptor: CInt, _ make: () throws -> ConnectionHandler.Continuation) {
        defer { self.count += 1 }
        do {
            self.browsers.append((try make(), descriptor))
        } catch {
            // For example a route that the new settings do not have: the old gateway sends it away.
            close(descriptor)
            self.refused.append(self.count)
            self.server.context.takeoverRefused(error)
        }
    }

    private lazy var followed = Set(self.groups)
    private lazy var followedChannels = Set(self.channels)

    private func session(_ bytes: ByteBuffer) throws -> ConnectionHandler.Continuation {
        let snapshot = try SessionSnapshot(decoding: bytes)
        guard snapshot.groups.allSatisfy(self.followed.contains),
            snapshot.channelGroups.allSatisfy(self.followedChannels.contains)
        else { throw SnapshotError("one of its groups is not followed yet") }
        if let state = snapshot.parser {
            var parser = WebSocketParser(messageLimit: 0)
            try parser.restore(state)
        }
        return .session(try self.server.context.info(for: snapshot), snapshot)
    }

    private func giveUp() {
        for browser in self.browsers { close(browser.descriptor) }
        self.sockets.closeAll()
        self.releaseGroups()
        self.hub.tap.finish()
    }

    // MARK: After it

    private func adopt() {
        let (positions, numbers) = self.places
        self.hub.keep(numbers: numbers)
        let futures = self.browsers.map { self.server.adopt(descriptor: $0.descriptor, continuing: $0.continuation) }
        // Each is among its followers now, or gone; what was recorded meanwhile reaches them.
        if let loop = self.hub.shards.first?.eventLoop { try? EventLoopFuture.andAllComplete(futures, on: loop).wait() }
        let hub = self.hub
        hub.resume(positions)
        hub.tap.join(self.log, cut: self.cut) { hub.deliver($0, in: $1) }
        // Nobody was here to be told.
        if self.wasInterrupted { hub.tellGap() }
        self.releaseGroups()
        let context = self.server.context
        let delay = TimeAmount.nanoseconds(Int64(clamping: context.takeoverSkew &* 4))
        hub.shards.first?.eventLoop.run(after: delay) { context.takeoverEnded(missing: hub.tap.finish()) }
    }

    private var wasInterrupted: Bool { self.hub.interruptions.load(ordering: .relaxed) != self.interruptions }

    private func releaseGroups() {
        guard self.isHoldingGroups, let shard = self.hub.shards.first else { return }
        self.isHoldingGroups = false
        let (groups, channels) = (self.groups, self.channels)
        shard.eventLoop.execute {
            shard.release(groups)
            for channel in channels { shard.release(channel: channel) }
        }
    }
}

extension EventLoop {
    fileprivate func run(after delay: TimeAmount, _ body: @escaping @Sendable () -> Void) {
        _ = self.scheduleTask(in: delay, body)
    }
}

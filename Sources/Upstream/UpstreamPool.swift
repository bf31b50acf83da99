import Glibc
package import NIOCore
package import Sockets

/// One event loop's kept-alive connections to a group of equal upstreams. Used on that loop only: no hops, no locks.
///
/// Chooses the upstream with the fewest outstanding requests (over all loops) among those that are not avoided; when all
/// are, it tries them all the same. A request finds an unused connection, makes one, or waits in a short queue.
package final class UpstreamPool {
    package let eventLoop: any EventLoop
    package let watch: LoopWatch
    private let configuration: UpstreamConfiguration
    private let lanes: [UpstreamLane]
    /// Asked for every request, so told once.
    package let speaksFastCGI: Bool
    /// Also holds withdrawn tickets, until they come to its head.
    private var queue = CircularBuffer<UpstreamTicket>()
    private var firstLane = 0
    private var isShutDown = false
    private var isServing = false

    init(
        eventLoop: any EventLoop, servers: [UpstreamServer], shares: Int, configuration: UpstreamConfiguration
    ) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.speaksFastCGI = configuration.speaksFastCGI
        self.watch = LoopWatch(
            eventLoop: eventLoop,
            tick: LoopWatch.tick(
                for: configuration.firstByteTime, configuration.idleTime, configuration.keepAliveTime,
                configuration.queueTime))
        let limit = max(1, (configuration.maxConnections + shares - 1) / max(1, shares))
        self.lanes = servers.enumerated().map {
            UpstreamLane(
                server: $0.element, number: $0.offset, limit: limit, eventLoop: eventLoop, configuration: configuration)
        }
    }

    /// Finds a connection for `exchange`: calls its `upstreamReady` or `upstreamFailed`, maybe before this returns.
    ///
    /// - Parameters:
    ///   - fresh: an unused connection will not do, as one of those has just been found dead.
    ///   - tried: upstreams that are not to be asked again.
    /// - Returns: the place to withdraw from while the request waits; `nil` when it does not.
    package func acquire(
        for exchange: any UpstreamExchange, fresh: Bool = false, excluding tried: Set<Int> = []
    ) -> UpstreamTicket? {
        guard !self.isShutDown else {
            exchange.upstreamFailed(UpstreamError(.cancelled, "shut down"))
            return nil
        }
        guard let index = self.chooseLane(excluding: tried) else { return self.enqueue(exchange) }
        let lane = self.lanes[index]
        if !fresh {
            while let connection = lane.popIdle() {
                if self.give(connection, to: exchange) { return nil }
            }
        }
        let ticket = UpstreamTicket(exchange, pool: self)
        ticket.tried = tried
        self.connect(index, for: ticket)
        return ticket
    }

    package var fastCGI: FastCGIOptions { self.configuration.fastCGI }

    /// See `UpstreamConfiguration.retries`.
    package var retries: Int { self.configuration.retries }

    /// Whether there is somebody to ask again after `error`.
    package func canRepeat(_ next: RetryRule.Next, after error: UpstreamError) -> Bool {
        guard !self.isShutDown else { return false }
        return next == .anywhere || self.lanes.indices.contains { $0 != error.upstream && self.lanes[$0].hasRoom }
    }

    /// Closes what is unused, refuses new requests, and lets running ones end.
    package func shutDown() {
        self.isShutDown = true
        while let ticket = self.queue.popFirst() {
            ticket.take()?.upstreamFailed(UpstreamError(.cancelled, "shut down"))
        }
        for lane in self.lanes {
            while let connection = lane.popIdle() { connection.close() }
        }
    }

    // MARK: Choosing

    /// The least busy lane with room for one more; `nil` when none has room.
    private func chooseLane(excluding tried: Set<Int>) -> Int? {
        if self.lanes.count == 1 { return tried.isEmpty && self.lanes[0].hasRoom ? 0 : nil }
        self.firstLane = (self.firstLane + 1) % max(1, self.lanes.count)
        return self.leastBusy(excluding: tried, avoided: false) ?? self.leastBusy(excluding: tried, avoided: true)
    }

    private func leastBusy(excluding tried: Set<Int>, avoided: Bool) -> Int? {
        var best: Int?
        var fewest = Int.max
        for offset in 0..<self.lanes.count {
            // Equals take turns.
            let index = (self.firstLane + offset) % self.lanes.count
            let lane = self.lanes[index]
            guard lane.hasRoom, !tried.contains(index) else { continue }
            let load = lane.server.load
            guard load < fewest, lane.server.isAvoided == avoided else { continue }
            fewest = load
            best = index
        }
        return best
    }

    private func give(_ connection: UpstreamConnection, to exchange: any UpstreamExchange) -> Bool {
        guard connection.begin(exchange) else { return false }
        exchange.upstreamReady(connection)
        return true
    }

    // MARK: Waiting

    private func enqueue(_ exchange: any UpstreamExchange) -> UpstreamTicket? {
        guard !self.lanes.isEmpty else {
            exchange.upstreamFailed(UpstreamError(.unreachable, "no upstream is configured"))
            return nil
        }
        if self.queue.count >= self.configuration.queueLimit { self.dropWithdrawn() }
        guard self.queue.count < self.configuration.queueLimit else {
            exchange.upstreamFailed(UpstreamError(.overloaded, "all connections are in use and the queue is full"))
            return nil
        }
        let ticket = UpstreamTicket(exchange, pool: self)
        ticket.deadline = self.watch.deadline(in: self.configuration.queueTime)
        self.watch.add(ticket)
        self.queue.append(ticket)
        return ticket
    }

    private func dropWithdrawn() {
        self.queue = CircularBuffer(self.queue.filter { $0.exchange != nil })
    }

    /// A connection, or the room for one, has become free in `lane`.
    private func serveQueue() {
        // Serving one can end it at once and come back here: a loop, not a recursion.
        guard !self.isServing else { return }
        self.isServing = true
        defer { self.isServing = false }
        while let ticket = self.queue.first {
            guard ticket.exchange != nil else {
                self.queue.removeFirst()
                continue
            }
            guard let index = self.chooseLane(excluding: []) else { return }
            self.queue.removeFirst()
            if let connection = self.lanes[index].popIdle() {
                guard let exchange = ticket.take() else { continue }
                if !self.give(connection, to: exchange) { _ = self.acquire(for: exchange, fresh: true) }
            } else {
                self.watch.remove(ticket)
                self.connect(index, for: ticket)
            }
        }
    }

    // MARK: Connecting

    private func connect(_ index: Int, for ticket: UpstreamTicket) {
        let lane = self.lanes[index]
        lane.open += 1
        lane.server.began()
        lane.connect { UpstreamConnection(pool: self, lane: lane, configuration: self.configuration) }
            .assumeIsolated()
            .whenComplete { result in
                lane.server.ended()
                switch result {
                case .success(let channel): self.connected(channel, for: ticket)
                case .failure(let error): self.unreachable(index, error, for: ticket)
                }
            }
    }

    private func connected(_ channel: any Channel, for ticket: UpstreamTicket) {
        guard let connection = try? channel.pipeline.syncOperations.handler(type: UpstreamConnection.self) else {
            ticket.take()?.upstreamFailed(UpstreamError(.unreachable, "the connection ended at once"))
            return
        }
        guard let exchange = ticket.take() else { return self.keep(connection) }
        if !self.give(connection, to: exchange) {
            let what = "\(connection.address): the connection ended at once"
            exchange.upstreamFailed(UpstreamError(.closedBeforeAnswer, what))
        }
    }

    private func unreachable(_ index: Int, _ error: any Error, for ticket: UpstreamTicket) {
        let lane = self.lanes[index]
        lane.open -= 1
        // Our own lack of descriptors says nothing about the upstream.
        let isOurs = (error as? IOError).map { $0.errnoCode == EMFILE || $0.errnoCode == ENFILE } ?? false
        if !isOurs { lane.server.failed("\(error)") }
        defer { self.serveQueue() }
        guard ticket.exchange != nil else { return }
        ticket.tried.insert(index)
        // Nothing was sent, so any other one will do.
        if !self.isShutDown, let other = self.chooseLane(excluding: ticket.tried) {
            self.connect(other, for: ticket)
            return
        }
        let what = "\(lane.server.address): \(error)"
        ticket.take()?.upstreamFailed(UpstreamError(.unreachable, what))
    }

    // MARK: From connections

    /// `connection` is unused: new, or its exchange ended well.
    func keep(_ connection: UpstreamConnection) {
        guard !self.isShutDown else {
            connection.close()
            return
        }
        connection.rest()
        connection.lane.putIdle(connection)
        if !self.queue.isEmpty { self.serveQueue() }
    }

    /// The channel is gone.
    func closed(_ connection: UpstreamConnection) {
        connection.lane.open -= 1
        connection.lane.removeIdle(connection)
        self.serveQueue()
    }
}

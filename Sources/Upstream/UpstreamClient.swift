package import HTTP1
package import Logging
package import NIOCore
import Telemetry

/// A complete request to ask an upstream with.
package struct UpstreamRequest: Sendable {
    package var method: String
    /// Path and query, as they go on the wire.
    package var target: String
    /// `Host` is added when absent; `Content-Length` and `Connection` are the client's own.
    package var fields: HeaderFields
    package var body: ByteBuffer
    /// To send it twice is the same as to send it once, whatever the method says.
    package var isHarmless: Bool

    package init(
        method: String, target: String, fields: HeaderFields = HeaderFields(), body: ByteBuffer = ByteBuffer(),
        isHarmless: Bool = false
    ) {
        self.isHarmless = isHarmless
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
    }
}

/// A complete answer.
package struct UpstreamAnswer: Sendable {
    package var head: ResponseHead
    package var body: ByteBuffer

    package var status: Int { self.head.status }
}

/// A group of equal upstream servers, with kept-alive connections on each event loop.
///
/// Two ways to use it: `pool(on:)` streams, for those who live on an event loop; `ask` collects a whole answer, from
/// anywhere.
package final class UpstreamClient: Sendable {
    package let configuration: UpstreamConfiguration
    private let group: any EventLoopGroup
    private let pools: [ObjectIdentifier: NIOLoopBoundBox<UpstreamPool?>]
    private let servers: [UpstreamServer]
    private let checker: NIOLoopBoundBox<HealthChecker?>

    /// - Parameter group: the loops that will ask; each has connections of its own.
    package init(_ configuration: UpstreamConfiguration, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.group = group
        let log = BoundedLog(logger)
        self.servers = configuration.addresses.map { UpstreamServer($0, configuration: configuration, log: log) }
        self.pools = Dictionary(
            group.makeIterator().map {
                (ObjectIdentifier($0), NIOLoopBoundBox.makeEmptyBox(valueType: UpstreamPool.self, eventLoop: $0))
            }, uniquingKeysWith: { first, _ in first })
        self.checker = NIOLoopBoundBox.makeEmptyBox(valueType: HealthChecker.self, eventLoop: group.next())
    }

    /// Begins with the health checks, if there are to be any.
    package func startHealthChecks() {
        guard self.configuration.healthCheck != nil else { return }
        let (checker, servers, configuration) = (self.checker, self.servers, self.configuration)
        checker.eventLoop.execute {
            guard checker.value == nil else { return }
            checker.value = HealthChecker(servers, configuration: configuration, eventLoop: checker.eventLoop)
            checker.value?.start()
        }
    }

    /// The connections of `eventLoop`, which must be the current one; `nil` when it is none of the group's.
    package func pool(on eventLoop: any EventLoop) -> UpstreamPool? {
        guard let box = self.pools[ObjectIdentifier(eventLoop)] else { return nil }
        if let pool = box.value { return pool }
        let pool = UpstreamPool(
            eventLoop: eventLoop, servers: self.servers, shares: self.pools.count, configuration: self.configuration)
        box.value = pool
        return pool
    }

    /// Asks one of the upstreams and collects the whole answer.
    ///
    /// - Parameters:
    ///   - timeout: from now to the last byte of the answer.
    ///   - limit: bytes of the answer's body; a longer one is `tooLarge`.
    ///   - eventLoop: where the caller is; the connection is one of that loop's if it is in the group.
    /// - Returns: the answer, whatever its status; completed on `eventLoop` when that is given. Fails with `UpstreamError`.
    package func ask(
        _ request: UpstreamRequest, timeout: TimeAmount, limit: Int, on eventLoop: (any EventLoop)? = nil
    ) -> EventLoopFuture<UpstreamAnswer> {
        let home: any EventLoop
        if let eventLoop, self.pools[ObjectIdentifier(eventLoop)] != nil {
            home = eventLoop
        } else {
            home = self.group.next()
        }
        let promise = home.makePromise(of: UpstreamAnswer.self)
        home.execute {
            guard let pool = self.pool(on: home) else {
                return promise.fail(UpstreamError(.cancelled, "the event loop is not of this client's group"))
            }
            UpstreamQuestion(request, pool: pool, timeout: timeout, limit: limit, promise: promise).ask()
        }
        guard let eventLoop else { return promise.futureResult }
        return promise.futureResult.hop(to: eventLoop)
    }

    /// As `ask(_:timeout:limit:on:)`, for async code.
    package func ask(_ request: UpstreamRequest, timeout: TimeAmount, limit: Int) async throws -> UpstreamAnswer {
        try await self.ask(request, timeout: timeout, limit: limit, on: nil).get()
    }

    /// Closes unused connections and refuses new requests; running ones end by themselves.
    package func shutDown() {
        let checker = self.checker
        checker.eventLoop.execute { checker.value?.stop() }
        for loop in self.group.makeIterator() {
            guard let box = self.pools[ObjectIdentifier(loop)] else { continue }
            loop.execute { box.value?.shutDown() }
        }
    }
}

package import NIOCore
import Sockets

/// A request's place while it has no connection yet: in the queue, or while one is being made.
///
/// Keep it to `withdraw` the request. Used on the pool's event loop only.
package final class UpstreamTicket: Watched {
    /// `nil` once a connection or an error was delivered, or the request was withdrawn.
    private(set) var exchange: (any UpstreamExchange)?
    /// Lanes that could not be reached for this request.
    var tried: Set<Int> = []
    private let pool: UpstreamPool
    package internal(set) var deadline = NIODeadline.distantFuture
    package var watchIndex = -1

    init(_ exchange: any UpstreamExchange, pool: UpstreamPool) {
        self.exchange = exchange
        self.pool = pool
    }

    /// The request is no longer wanted; its exchange hears nothing more.
    package func withdraw() {
        _ = self.take()
    }

    /// The exchange, for the one call it is still to get.
    func take() -> (any UpstreamExchange)? {
        self.pool.watch.remove(self)
        defer { self.exchange = nil }
        return self.exchange
    }

    package func deadlinePassed() {
        self.take()?.upstreamFailed(UpstreamError(.overloaded, "no connection became free in time"))
    }
}

public import HTTP1
public import NIOCore
import Settings

/// How a worker process listens and what it may use. Defaults are those of `WorkersSettings`.
public struct WorkersConfiguration: Sendable {
    /// Where connections come from.
    public enum Listen: Sendable, Hashable, CustomStringConvertible {
        /// Port 0 takes a free one; `WorkerServer.boundAddress` tells which.
        case tcp(host: String, port: Int)
        /// A stale socket file is replaced.
        case unix(path: String)
        /// A socket that listens already: 0 under supervisord's `fcgi-program`, 3 under systemd.
        case descriptor(CInt)

        /// `http://HOST:PORT`, `unix:///PATH` or `fd://NUMBER`.
        ///
        /// - Throws: `invalidConfiguration`, which says what is wrong with `text`.
        public init(_ text: String) throws(WorkerError) {
            do {
                self.init(try ListenAddress(text))
            } catch {
                throw WorkerError(.invalidConfiguration, "\(text) is no address to listen on: \(error.note).")
            }
        }

        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
            case .unix(let path): "unix://\(path)"
            case .descriptor(let number): "fd://\(number)"
            }
        }
    }

    public var listen = Listen.tcp(host: "127.0.0.1", port: 8002)
    /// Permission bits of the Unix socket's file; `nil` leaves them to the umask.
    public var socketMode: UInt16?

    /// Threads that answer requests: how many run at once. At least 1.
    public var threads = WorkersSettings.threads.defaultValue
    /// Requests that may wait for a thread; one more is answered 503.
    public var queue = WorkersSettings.queue.defaultValue
    /// How long a request may wait for a thread, and how long it may then go without an answer or a chunk.
    public var requestTimeout: TimeAmount = .init(WorkersSettings.requestTimeout.defaultValue)
    /// Threads over their time that are replaced by new ones; when more are stuck, the pool shrinks.
    public var stuckThreads = WorkersSettings.stuckThreads.defaultValue

    /// Requests after which `WorkerServer.run` returns, and up to half as many more, so that equal processes do not all do so at
    /// once; 0 for never. Whoever started the process starts it anew.
    public var maxRequests = WorkersSettings.maxRequests.defaultValue

    /// Connections held at once; one more is answered 503 and closed.
    public var connections = WorkersSettings.connections.defaultValue
    /// How long a visitor may read nothing of an answer.
    public var writeTimeout: TimeAmount = .init(WorkersSettings.writeTimeout.defaultValue)
    /// From the first byte of a head to its last.
    public var headTimeout: TimeAmount = .init(WorkersSettings.headTimeout.defaultValue)
    /// From the end of a head to the last byte of the body.
    public var bodyTimeout: TimeAmount = .init(WorkersSettings.bodyTimeout.defaultValue)
    /// How long a kept-alive connection may be quiet. Longer than what a proxy in front keeps its own for.
    public var idleTimeout: TimeAmount = .init(WorkersSettings.idleTimeout.defaultValue)
    /// Bytes of one body; more is answered 413.
    public var bodyLimit = WorkersSettings.bodyLimit.defaultValue
    public var headLimits = HeadLimits()
    /// Addresses and ranges whose `X-Forwarded-For` is believed. A Unix socket's peer always is.
    public var trustedProxies = WorkersSettings.trustedProxies.defaultValue

    public init() {}

    /// - Throws: `invalidConfiguration` for the first value the server cannot work with.
    func check() throws(WorkerError) {
        let counts = [
            ("threads", self.threads, 1), ("queue", self.queue, 0), ("stuckThreads", self.stuckThreads, 0),
            ("maxRequests", self.maxRequests, 0), ("connections", self.connections, 1),
            ("bodyLimit", self.bodyLimit, 0),
        ]
        for (name, value, least) in counts where value < least {
            throw WorkerError(.invalidConfiguration, "\(name) is \(value); wanted is \(least) or more.")
        }
        let times = [
            ("requestTimeout", self.requestTimeout), ("writeTimeout", self.writeTimeout),
            ("headTimeout", self.headTimeout), ("bodyTimeout", self.bodyTimeout), ("idleTimeout", self.idleTimeout),
        ]
        for (name, value) in times where value <= .zero {
            throw WorkerError(.invalidConfiguration, "\(name) must be longer than nothing.")
        }
    }
}

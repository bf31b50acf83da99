package import HTTP1
package import NIOCore

/// Where a group of equal upstream servers is, and how long and how often one may be asked.
package struct UpstreamConfiguration: Sendable {
    /// Equal servers; the one with the fewest outstanding requests is asked.
    package var addresses: [UpstreamAddress]
    /// From the attempt to the connection.
    package var connectTime: TimeAmount = .seconds(5)
    /// From the request's last byte to the answer's first.
    package var firstByteTime: TimeAmount = .seconds(60)
    /// Between two reads of an answer, or two writes of a request.
    package var idleTime: TimeAmount = .seconds(60)
    /// How long an unused connection is kept. Below the upstream's own limit, so that it is rarely the upstream that closes.
    package var keepAliveTime: TimeAmount = .seconds(15)
    /// Connections to one upstream, over all event loops (each loop has its share, at least one).
    package var maxConnections: Int = 512
    /// Requests of one event loop that may wait for a connection.
    package var queueLimit: Int = 256
    /// How long one may wait.
    package var queueTime: TimeAmount = .seconds(5)
    /// How long a failed upstream is avoided: doubled with each failure in a row, up to `maxBackOff`.
    package var backOff: TimeAmount = .seconds(1)
    package var maxBackOff: TimeAmount = .seconds(30)
    /// Attempts at other upstreams after one that ended the connection without an answer; see `RetryRule`.
    package var retries: Int = 1
    /// How long an upstream that has come back gets less than its share, growing to all of it; zero for at once.
    package var slowStart: TimeAmount = .zero
    /// Asks each upstream from time to time whether it is well; `nil` for not.
    package var healthCheck: HealthCheck?
    /// How `https` upstreams are spoken to.
    package var tls = UpstreamTLS()
    /// What `fastcgi` upstreams are told.
    package var fastCGI = FastCGIOptions()
    /// Limits of an answer's head.
    package var headLimits = HeadLimits()

    /// Whether one of the upstreams is spoken to with TLS.
    package var usesTLS: Bool { self.addresses.contains { if case .tls = $0 { true } else { false } } }

    /// Whether the upstreams speak FastCGI: all or none.
    package var speaksFastCGI: Bool { self.addresses.contains(where: \.isFastCGI) }

    package init(addresses: [UpstreamAddress]) {
        self.addresses = addresses
    }
}

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
    /// Limits of an answer's head.
    package var headLimits = HeadLimits()

    package init(addresses: [UpstreamAddress]) {
        self.addresses = addresses
    }
}

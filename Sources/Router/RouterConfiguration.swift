package import HTTP1
package import NIOCore
package import Settings
package import Upstream

/// One gateway, and the ways to it.
package struct GatewayEndpoint: Sendable {
    /// Takes browsers' sockets on this host; `nil` for a gateway elsewhere.
    package var handoff: GatewayHandoff?
    /// Answers HTTP, for what cannot be handed over; `nil` when there is no such way.
    package var address: UpstreamAddress?

    package init(handoff: GatewayHandoff?, address: UpstreamAddress?) {
        self.handoff = handoff
        self.address = address
    }

    /// The gateway that listens at `address`: sockets go to `<path>.handoff` beside a Unix socket, and nowhere over TCP.
    package init(address: UpstreamAddress) {
        self.address = address
        if case .unix(let path) = address { self.handoff = .socket(path: path + ".handoff") }
    }
}

/// What the router does, and its bounds.
package struct RouterConfiguration: Sendable {
    /// Where browsers, or a proxy in front, connect.
    package var listen: [ListenAddress]
    /// Of the Unix sockets among them.
    package var socketFile = SocketFile()
    /// The path where routers of this host share their listening sockets; `nil` for one that is alone.
    package var takeover: String?
    /// Where they connect with TLS.
    package var secureListen: [ListenAddress] = []
    package var tls = RouterTLS()
    /// Who answers everything that is not under `gatewayPath`.
    package var workers: UpstreamConfiguration
    /// Further groups of upstreams; routes name them by `PoolNumber.firstNamed` and their place here.
    package var pools: [NamedPool] = []
    /// Who answers what, where it is not the workers or the gateways.
    package var routes: [Route] = []
    /// The path prefix of the gateways, with a slash at both ends; empty: there are no gateways.
    package var gatewayPath = RouterSettings.gatewayPath.defaultValue
    package var gateways: [GatewayEndpoint] = []
    /// How long a connection may wait for a gateway that has room.
    package var handoffTime = TimeAmount(RouterSettings.gatewayQueueTimeout.defaultValue)
    /// Whose `X-Forwarded-*`, `X-Real-IP` and `X-Request-ID` are passed on and added to; everybody else's are replaced.
    package var trustedProxies = TrustedProxies.none
    /// From the connection, or a request's first byte, to the end of its head.
    package var headTime = TimeAmount(RouterSettings.headTimeout.defaultValue)
    /// Between two reads of a request's body.
    package var bodyIdleTime = TimeAmount(RouterSettings.bodyTimeout.defaultValue)
    /// How long a browser may not take a byte of its answer.
    package var sendIdleTime = TimeAmount(RouterSettings.sendTimeout.defaultValue)
    /// Between two requests.
    package var keepAliveTime = TimeAmount(RouterSettings.idleTimeout.defaultValue)
    /// How long neither side of a tunnel may say anything.
    package var tunnelIdleTime = TimeAmount(RouterSettings.tunnelTimeout.defaultValue)
    /// How long a connection that is being closed is still read, so that the browser sees the answer before the end.
    package var lingerTime: TimeAmount = .seconds(2)
    /// How long a router that stops still hears those who are connected and have asked nothing.
    package var lastMoment: TimeAmount = .seconds(2)
    /// Connections that have not shown their first request's path; as many may wait for a gateway.
    package var undecidedLimit = RouterSettings.undecidedLimit.defaultValue
    package var headLimits = HeadLimits()
    /// One line per request at `info`; otherwise the line is at `debug`.
    package var logsRequests = RouterSettings.logRequests.defaultValue

    /// One line per request apart from the process' log; `nil` for none.
    package var accessLog: AccessLogConfiguration?
    /// Whether requests get a `Via` (RFC 9110 section 7.6.3).
    package var writesVia = RouterSettings.via.defaultValue

    package init(listen: [ListenAddress], workers: UpstreamConfiguration) {
        self.listen = listen
        self.workers = workers
    }
}

extension RouterConfiguration {
    /// Looks at the files that are named, as the process that listens will need them.
    ///
    /// - Returns: what is wrong with them, and what would let the router start all the same: certificates out of date.
    package func lookAtFiles() -> (problems: [String], warnings: [String]) {
        var problems: [String] = []
        for pool in [self.workers] + self.pools.map(\.upstreams) where pool.usesTLS {
            do { try pool.tls.load() } catch { problems.append("\(error)") }
        }
        do throws(RouterFileError) {
            return (problems, try TLSContexts(self.tls).warnings)
        } catch {
            return (problems + error.problems, [])
        }
    }

    /// - Throws: what keeps a router from starting.
    func checkFiles() throws(RouterFileError) {
        let problems = self.lookAtFiles().problems
        guard problems.isEmpty else { throw RouterFileError(problems) }
    }
}

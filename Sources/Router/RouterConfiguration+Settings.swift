import HTTP1
import NIOCore
package import Settings
import Upstream

extension RouterConfiguration {
    /// The values of all settings under `router`; faults are the reader's.
    package init(reading reader: SettingsReader) {
        self.init(
            listen: reader.value(RouterSettings.listen), workers: UpstreamConfiguration(readingForRouter: reader))
        // An unreadable list never gets this far: its kind checks each entry.
        self.trustedProxies = (try? TrustedProxies(reader.value(RouterSettings.trustedProxies))) ?? .none
        self.gatewayPath = reader.value(RouterSettings.gatewayPath)
        self.gateways = reader.value(RouterSettings.gateways).map { GatewayEndpoint(address: $0) }
        self.headTime = TimeAmount(reader.value(RouterSettings.headTimeout))
        self.bodyIdleTime = TimeAmount(reader.value(RouterSettings.bodyTimeout))
        self.sendIdleTime = TimeAmount(reader.value(RouterSettings.sendTimeout))
        self.keepAliveTime = TimeAmount(reader.value(RouterSettings.idleTimeout))
        self.tunnelIdleTime = TimeAmount(reader.value(RouterSettings.tunnelTimeout))
        self.undecidedLimit = reader.value(RouterSettings.undecidedLimit)
        self.logsRequests = reader.value(RouterSettings.logRequests)
    }
}

extension UpstreamConfiguration {
    fileprivate init(readingForRouter reader: SettingsReader) {
        self.init(addresses: reader.value(RouterWorkersSettings.upstreams))
        self.connectTime = TimeAmount(reader.value(RouterWorkersSettings.connectTimeout))
        self.firstByteTime = TimeAmount(reader.value(RouterWorkersSettings.responseTimeout))
        self.idleTime = TimeAmount(reader.value(RouterWorkersSettings.readTimeout))
        self.keepAliveTime = TimeAmount(reader.value(RouterWorkersSettings.keepAlive))
        self.maxConnections = reader.value(RouterWorkersSettings.connections)
        self.queueLimit = reader.value(RouterWorkersSettings.queue)
        self.queueTime = TimeAmount(reader.value(RouterWorkersSettings.queueTimeout))
        self.backOff = TimeAmount(reader.value(RouterWorkersSettings.backOff))
    }
}

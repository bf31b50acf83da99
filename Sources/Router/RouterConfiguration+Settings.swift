import HTTP1
import NIOCore
package import Settings
import Upstream

extension RouterConfiguration {
    /// The values of all settings under `router`; faults are the reader's.
    package init(reading reader: SettingsReader) {
        let listen = reader.value(RouterSettings.listen)
        self.init(
            listen: listen.filter { !$0.isSecure }.map(\.address),
            workers: UpstreamConfiguration(readingForRouter: reader))
        self.secureListen = listen.filter(\.isSecure).map(\.address)
        self.tls = RouterTLS(reading: reader, isNeeded: !self.secureListen.isEmpty)
        // An unreadable list never gets this far: its kind checks each entry.
        self.trustedProxies = (try? TrustedProxies(reader.value(RouterSettings.trustedProxies))) ?? .none
        let mode = RouterSettings.mode(reader.value(RouterSettings.socketMode))
        self.socketFile =
            SocketFile(owner: reader.value(RouterSettings.socketOwner), mode: mode) ?? SocketFile(mode: mode)
        let takeover = reader.value(RouterSettings.takeover)
        self.takeover = takeover.isEmpty ? nil : takeover
        self.gatewayPath = reader.value(RouterSettings.gatewayPath)
        self.pools = RouterPoolSettings.all(reading: reader)
        self.routes = Route.all(reading: reader, pools: self.pools.map(\.name), gatewayPath: self.gatewayPath)
        self.accessLog = AccessLogConfiguration(reading: reader)
        self.writesVia = reader.value(RouterSettings.via)
        self.gateways = reader.value(RouterSettings.gateways).map { GatewayEndpoint(address: $0) }
        self.handoffTime = TimeAmount(reader.value(RouterSettings.gatewayQueueTimeout))
        self.headTime = TimeAmount(reader.value(RouterSettings.headTimeout))
        self.bodyIdleTime = TimeAmount(reader.value(RouterSettings.bodyTimeout))
        self.sendIdleTime = TimeAmount(reader.value(RouterSettings.sendTimeout))
        self.keepAliveTime = TimeAmount(reader.value(RouterSettings.idleTimeout))
        self.tunnelIdleTime = TimeAmount(reader.value(RouterSettings.tunnelTimeout))
        self.undecidedLimit = reader.value(RouterSettings.undecidedLimit)
        self.logsRequests = reader.value(RouterSettings.logRequests)
    }
}

extension AccessLogConfiguration {
    /// `nil` when there is none.
    init?(reading reader: SettingsReader) {
        guard let target = reader.value(RouterSettings.accessLog), !target.isEmpty else { return nil }
        guard target == "stderr" || target.hasPrefix("/") else {
            reader.fault(RouterSettings.accessLog, "wanted an absolute path, or \"stderr\"")
            return nil
        }
        self.init(
            target: target == "stderr" ? .standardError : .file(target),
            format: reader.value(RouterSettings.accessLogFormat))
    }
}

import HTTP1
import NIOCore
package import Settings

extension WorkersConfiguration {
    /// The values of all settings under `workers`; faults are the reader's.
    package init(reading reader: SettingsReader) {
        self.init()
        self.listen = Listen(reader.value(WorkersSettings.listen))
        self.socketMode = reader.value(WorkersSettings.socketMode)
        self.threads = reader.value(WorkersSettings.threads)
        self.queue = reader.value(WorkersSettings.queue)
        self.requestTimeout = TimeAmount(reader.value(WorkersSettings.requestTimeout))
        self.stuckThreads = reader.value(WorkersSettings.stuckThreads)
        self.maxRequests = reader.value(WorkersSettings.maxRequests)
        self.connections = reader.value(WorkersSettings.connections)
        self.writeTimeout = TimeAmount(reader.value(WorkersSettings.writeTimeout))
        self.headTimeout = TimeAmount(reader.value(WorkersSettings.headTimeout))
        self.bodyTimeout = TimeAmount(reader.value(WorkersSettings.bodyTimeout))
        self.idleTimeout = TimeAmount(reader.value(WorkersSettings.idleTimeout))
        self.bodyLimit = reader.value(WorkersSettings.bodyLimit)
        self.trustedProxies = reader.value(WorkersSettings.trustedProxies)
    }

    static func trusted(_ proxies: [String]) throws(AddressError) -> TrustedProxies {
        // A Unix socket is reached by whoever its file lets in: our own proxies.
        try TrustedProxies(proxies + ["unix:"])
    }
}

extension WorkersConfiguration.Listen {
    package init(_ address: ListenAddress) {
        self =
            switch address {
            case .tcp(let host, let port): .tcp(host: host, port: port)
            case .unix(let path): .unix(path: path)
            case .descriptor(let number): .descriptor(number)
            }
    }
}

extension PublishAPI.Configuration {
    /// The values of all settings under `api`; faults are the reader's.
    package init(reading reader: SettingsReader) {
        self.init()
        self.keys = reader.value(PublishSettings.keys)
        self.insecure = reader.value(PublishSettings.insecure)
        self.prefix = reader.value(PublishSettings.prefix)
        self.transportErrors = reader.value(PublishSettings.errorMode) == "transport"
        self.layerTimeout = TimeAmount(reader.value(PublishSettings.layerTimeout))
        self.surveyTimeout = TimeAmount(reader.value(PublishSettings.surveyTimeout))
    }
}

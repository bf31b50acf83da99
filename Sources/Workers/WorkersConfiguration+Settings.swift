import HTTP1
import NIOCore
package import Settings

extension WorkersConfiguration {
    /// The values of all settings under `workers`; faults are the reader's.
    package init(reading reader: SettingsReader) {
        self.init()
        self.listen = Listen(reader.value(WorkersSettings.listen)) ?? self.listen
        self.socketMode = WorkersSettings.mode(reader.value(WorkersSettings.socketMode))
        self.threads = reader.value(WorkersSettings.threads)
        self.queue = reader.value(WorkersSettings.queue)
        self.requestTimeout = TimeAmount(reader.value(WorkersSettings.requestTimeout))
        self.stuckThreads = reader.value(WorkersSettings.stuckThreads)
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
    /// Reads `http://host:port`, `http://[::1]:port`, `unix:///path` and `fd://number`.
    package init?(_ text: String) {
        if text.hasPrefix("unix:///") {
            self = .unix(path: String(text.dropFirst("unix://".count)))
        } else if text.hasPrefix("fd://") {
            guard let number = CInt(text.dropFirst("fd://".count)), number >= 0 else { return nil }
            self = .descriptor(number)
        } else {
            guard text.hasPrefix("http://"), let colon = text.lastIndex(of: ":"),
                let port = UInt16(text[text.index(after: colon)...])
            else { return nil }
            var host = text[..<colon].dropFirst("http://".count)
            if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
            guard !host.isEmpty, !host.contains("/") else { return nil }
            self = .tcp(host: String(host), port: Int(port))
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
    }
}

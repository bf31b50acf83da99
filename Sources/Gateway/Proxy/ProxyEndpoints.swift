import Logging
import NIOCore
import Telemetry
import Upstream

/// Where a gateway's application is asked: about each kind of event, and at the endpoints that namespaces name instead.
struct ProxyEndpoints: Sendable {
    private var events: [ProxyEvent: ProxyEndpoint] = [:]
    private var named: [String: ProxyEndpoint] = [:]

    /// Nobody is asked.
    init() {}

    /// Endpoints that are asked at the same place in the same way are one: their questions stand in one queue, and go out
    /// together.
    ///
    /// - Parameter workers: who answers where the settings have a path alone; `nil` when nobody does.
    init(_ configuration: ClientConfiguration, workers: UpstreamClient?, group: any EventLoopGroup, logger: Logger) {
        guard !configuration.proxies.isEmpty || !configuration.namedProxies.isEmpty else { return }
        let metrics = ProxyMetrics()
        let log = BoundedLog(logger)
        var clients: [UpstreamAddress: UpstreamClient] = [:]
        var endpoints: [ProxyEndpoint] = []
        func endpoint(_ proxy: ProxyConfiguration) -> ProxyEndpoint {
            if let same = endpoints.first(where: { $0.configuration == proxy }) { return same }
            var client = workers
            if case .server(let address, _) = proxy.endpoint {
                let own =
                    clients[address]
                    ?? UpstreamClient(UpstreamConfiguration(addresses: [address]), group: group, logger: logger)
                clients[address] = own
                client = own
            }
            let timeout = TimeAmount.milliseconds(Int64(proxy.timeout))
            let ask = client?.asking(timeout: timeout, limit: proxy.answerLimit) ?? GatewayServer.nobody
            let endpoint = ProxyEndpoint(proxy, ask: ask, home: group.next(), metrics: metrics, log: log)
            endpoints.append(endpoint)
            return endpoint
        }
        for event in ProxyEvent.allCases { self.events[event] = configuration.proxies[event].map(endpoint) }
        for (name, proxy) in configuration.namedProxies.sorted(by: { $0.key < $1.key }) {
            self.named[name] = endpoint(proxy)
        }
    }

    var isEmpty: Bool { self.events.isEmpty && self.named.isEmpty }

    /// What the application is asked about where no namespace says otherwise.
    var ownEvents: Set<ProxyEvent> { Set(self.events.keys) }

    /// Who is asked; `nil` when nobody is.
    ///
    /// - Parameter choice: what the channel's namespace says.
    subscript(_ event: ProxyEvent, _ choice: ProxyChoice) -> ProxyEndpoint? {
        switch choice {
        case .own: self.events[event]
        case .named(let name): self.named[name]
        }
    }
}

/// Which endpoint is asked about an event.
package enum ProxyChoice: Hashable, Sendable {
    /// The event's own, which the settings call `default`.
    case own
    /// One that several namespaces may share.
    case named(String)

    static let ownName = "default"

    init(_ name: String) { self = name == Self.ownName ? .own : .named(name) }

    var name: String {
        switch self {
        case .own: Self.ownName
        case .named(let name): name
        }
    }
}

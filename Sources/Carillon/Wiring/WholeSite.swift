import ChannelLayer
import Gateway
import Logging
import Metrics
import NIOCore
import Router
import Settings
import Telemetry
import Upstream
import Workers

/// Everything in one process: what `serve` runs. What the settings leave open is filled in so that the parts find each
/// other: on Unix sockets in a folder of the process's own.
struct WholeSite {
    private let runtime: Runtime
    private var configuration: WholeConfiguration
    private let folder: PrivateFolder
    /// The API key, when it was made up.
    private let madeUpKey: String?
    private let isDemonstration: Bool

    /// - Throws: `Failure` when there is no place for the sockets.
    init(_ configuration: WholeConfiguration, _ reader: SettingsReader) throws {
        var whole = configuration
        let folder = try PrivateFolder()
        func isGiven(_ setting: any AnySetting) -> Bool { reader.origin(of: setting.name) != .default }

        if !isGiven(WorkersSettings.listen) { whole.workers.listen = .unix(path: folder.path + "/worker.sock") }
        if !isGiven(RouterWorkersSettings.upstreams) {
            whole.router.workers.addresses = [Self.address(of: whole.workers.listen)]
        }
        if !isGiven(GatewayProcessSettings.listen) { whole.gatewayProcess.listen = [] }
        // Also in one process: requests after the first of a connection are tunnelled.
        whole.gatewayProcess.listen.append(.unix(path: folder.path + "/gateway.sock"))

        self.isDemonstration = !isGiven(RouteConfiguration.setting)
        if self.isDemonstration {
            whole.gateway.routes = [try RouteConfiguration.embedded(pathPrefix: whole.gateway.pathPrefix)]
            if !isGiven(ClientConfiguration.setting) {
                whole.gateway.client = .embedded()
                // The API goes by them, too.
                whole.site.rules = ChannelRules.lookUp(in: whole.gateway.client?.wholeNamespaces)
            }
            if !isGiven(PagesSettings.demo) { whole.site.hasDemo = true }
        }
        if whole.site.api.keys.isEmpty, !whole.site.api.insecure {
            let key = Process.environment["CARILLON_API_KEY"] ?? ""
            self.madeUpKey = key.isEmpty ? Self.makeKey() : nil
            whole.site.api.keys = [self.madeUpKey ?? key]
        } else {
            self.madeUpKey = nil
        }
        self.configuration = whole
        self.folder = folder
        self.runtime = Runtime(label: "carillon", telemetry: whole.telemetry, process: whole.process)
    }

    /// The router's way to a worker in this process. `fd://` cannot be asked for its address; then it must be said.
    private static func address(of listen: WorkersConfiguration.Listen) -> UpstreamAddress {
        switch listen {
        case .tcp("0.0.0.0", let port): .tcp(host: "127.0.0.1", port: port)
        case .tcp("::", let port): .tcp(host: "::1", port: port)
        case .tcp(let host, let port): .tcp(host: host, port: port)
        case .unix(let path): .unix(path: path)
        case .descriptor: .tcp(host: "127.0.0.1", port: 8_002)
        }
    }

    private static func makeKey() -> String {
        let letters = Array("abcdefghijkmnpqrstuvwxyz23456789")
        return String((0..<32).compactMap { _ in letters.randomElement() })
    }

    // MARK: Life

    /// - Parameter reload: makes what SIGHUP does of what is to be done with settings that were read anew.
    func run(
        reload: (@escaping @Sendable (WholeConfiguration) throws -> Void) ->
            @Sendable () throws -> TelemetryConfiguration
    ) async throws {
        let whole = self.configuration
        let (group, logger) = (self.runtime.group, self.runtime.logger)
        let layer = whole.layer.make(
            observer: LayerDropLog(logger: Logger(label: "layer"), factory: MetricsSystem.factory))
        let workers = UpstreamClient(whole.router.workers, group: group, logger: Logger(label: "router"))
        let gateway = try GatewayServer(
            configuration: whole.gateway, name: NodeName.text(listening: whole.router.listen), version: Version.text,
            layer: layer, eventLoopGroup: group, ask: whole.gatewayProcess.ask(workers),
            workers: workers, logger: Logger(label: "gateway"))
        var routing = whole.router
        routing.gateways = [self.endpoint(of: gateway)]
        let router = Router(routing, group: group, workers: workers, logger: Logger(label: "router"))
        let worker = try WorkerServer(
            try whole.site.application(layer: layer), configuration: whole.workers, group: group,
            logger: Logger(label: "worker"), metrics: WorkersMetrics())
        let front = PartsTogether(
            name: "router and gateway",
            parts: [
                GatewayPart(
                    server: gateway, process: whole.gatewayProcess, drainTime: whole.gateway.drainTime,
                    connectionLimit: whole.gateway.limits.total, descriptors: self.runtime.descriptors,
                    layer: whole.layer.name, logger: Logger(label: "gateway")),
                RouterPart(router: router, drainTime: TimeAmount(whole.routerDrainTime)),
            ])
        logger.debug("Sockets of this process", metadata: ["folder": "\(self.folder.path)"])
        try await self.runtime.run(
            [self.folder, LayerPart(layer: layer), WorkerPart(server: worker, drainTime: whole.site.drainTime), front],
            reload: reload { try router.reload($0.router) }
        ) {
            try self.welcome(router)
        }
    }

    private func endpoint(of gateway: GatewayServer) -> GatewayEndpoint {
        var endpoint = GatewayEndpoint(address: .unix(path: self.folder.path + "/gateway.sock"))
        endpoint.handoff = .closure { descriptor in
            gateway.adopt(descriptor: descriptor)
            return true
        }
        return endpoint
    }

    /// What to do next, on standard output.
    private func welcome(_ router: Router) throws {
        let address = router.boundAddresses.first.map { "\($0)" } ?? ""
        guard self.isDemonstration, address.hasPrefix("http://") else { return }
        let program = CommandLine.arguments.first ?? "carillon"
        let key = self.madeUpKey.map { "CARILLON_API_KEY=\($0) " } ?? ""
        let note =
            self.madeUpKey == nil
            ? "" : "\n                        the key was made up for this run; CARILLON_API_KEY sets one"
        let url = address == "http://127.0.0.1:8000" ? "" : " --url \(address)"
        let prefix = self.configuration.gateway.pathPrefix
        try Output.line(
            """

            Carillon \(Version.text) is running.

              Look      \(address)/
                        open it in two tabs and press "start a job"; or chat at \(address)/chat
              Follow    \(program) subscribe\(url) jobs
                        or a WebSocket or event stream at \(address)\(prefix)groups/jobs
              Publish   \(key)\(program) publish\(url) jobs '{"done": true}'\(note)

            Stop it with Ctrl-C.

            """)
    }
}

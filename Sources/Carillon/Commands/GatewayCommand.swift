import ArgumentParser
import Gateway
import Logging
import Metrics
import Router
import Settings
import Telemetry
import Upstream

/// `carillon gateway`: holds browsers' sockets and hands them what their groups deliver.
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Holds browsers' WebSockets and event streams, and delivers what their groups receive.")

    @OptionGroup(title: "Where to listen") var listen: ListenOptions
    @OptionGroup(title: "Settings") var options: SettingsOptions

    /// What a gateway that stops starts: takes its browsers over, and waits for the next gateway. The number of that
    /// gateway's process.
    @Option(help: .hidden) var bridge: Int32?

    func run() async throws {
        let reader = try self.options.reader(self.listen.flags(for: "gateway.listen", port: 8_001))
        let process = ProcessConfiguration(reading: reader)
        var telemetry = TelemetryConfiguration(reading: reader)
        let layer = LayerChoice(reading: reader)
        let configuration = GatewayConfiguration(reading: reader)
        layer.check(configuration.routes, reader)
        let gateway = GatewayProcessConfiguration(reading: reader)
        let workers = RouterConfiguration(reading: reader).workers
        try WholeConfiguration.finish(reader)
        // The process that started it, or the next one, has the address.
        if self.bridge != nil { telemetry.listen = nil }
        let runtime = Runtime(label: "gateway", telemetry: telemetry, process: process)
        if !layer.isShared {
            runtime.logger.warning("The memory layer reaches only this process: nothing published elsewhere arrives")
        }
        let channelLayer = layer.make(
            observer: LayerDropLog(logger: Logger(label: "layer"), factory: MetricsSystem.factory))
        let client = UpstreamClient(workers, group: runtime.group, logger: runtime.logger)
        let server = try GatewayServer(
            configuration: configuration, name: NodeName.text(listening: gateway.listen), version: Version.text,
            layer: channelLayer, eventLoopGroup: runtime.group, ask: gateway.ask(client), workers: client,
            logger: runtime.logger)
        let part = GatewayPart(
            server: server, process: gateway, drainTime: configuration.drainTime,
            connectionLimit: configuration.limits.total, descriptors: runtime.descriptors, layer: layer.name,
            logger: runtime.logger, takeover: try self.takeover(gateway, layer, runtime))
        try await runtime.run([LayerPart(layer: channelLayer), part], reload: self.options.reloader())
    }

    private func takeover(
        _ gateway: GatewayProcessConfiguration, _ layer: LayerChoice, _ runtime: Runtime
    ) throws -> GatewayTakeover? {
        guard let path = gateway.takeover, layer.isShared else {
            if gateway.takeover != nil {
                runtime.logger.warning(
                    "gateway.takeover is not used: what the memory layer carries stays in this process")
            }
            if self.bridge != nil { throw Failure("--bridge needs gateway.takeover and a layer with a broker") }
            return nil
        }
        return GatewayTakeover(
            path: path, wait: gateway.takeoverWait, bridgeFrom: self.bridge, loop: runtime.group.next(),
            logger: runtime.logger)
    }
}

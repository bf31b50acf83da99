import ArgumentParser
import NIOCore
import Router
import Settings
import Telemetry

/// `carillon router`: takes connections, hands browsers' sockets to gateways, proxies the rest to the workers.
struct RouterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "router",
        abstract: "Takes all connections: hands those under /channels/ to gateways, proxies the rest to the workers.")

    @OptionGroup(title: "Where to listen") var listen: ListenOptions
    @OptionGroup(title: "Settings") var options: SettingsOptions

    func run() async throws {
        let reader = try self.options.reader(self.listen.flags(for: "router.listen", port: 8_000))
        let process = ProcessConfiguration(reading: reader)
        let telemetry = TelemetryConfiguration(reading: reader)
        let configuration = RouterConfiguration(reading: reader)
        let drainTime = TimeAmount(reader.value(RouterStopSettings.drainTime))
        try WholeConfiguration.finish(reader)
        let runtime = Runtime(label: "router", telemetry: telemetry, process: process)
        let router = Router(configuration, group: runtime.group, logger: runtime.logger)
        try await runtime.run(
            [RouterPart(router: router, drainTime: drainTime)],
            reload: self.options.reloader { try router.reload($0.router) })
    }
}

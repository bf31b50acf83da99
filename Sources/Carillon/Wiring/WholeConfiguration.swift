import Gateway
import Router
import Settings
import Supervision
import Telemetry
import Workers

/// All parts' settings together: for `check`, and for `serve`, which runs them all.
struct WholeConfiguration {
    var process: ProcessConfiguration
    var telemetry: TelemetryConfiguration
    var layer: LayerChoice
    var gateway: GatewayConfiguration
    var gatewayProcess: GatewayProcessConfiguration
    var router: RouterConfiguration
    var routerDrainTime: Duration
    var workers: WorkersConfiguration
    var site: WorkerSite
    var agent: AgentConfiguration

    /// - Throws: all faults.
    init(reading reader: SettingsReader) throws {
        self.process = ProcessConfiguration(reading: reader)
        self.telemetry = TelemetryConfiguration(reading: reader)
        self.layer = LayerChoice(reading: reader)
        self.gateway = GatewayConfiguration(reading: reader)
        self.layer.check(self.gateway.routes, reader)
        self.gatewayProcess = GatewayProcessConfiguration(reading: reader)
        self.router = RouterConfiguration(reading: reader)
        self.routerDrainTime = reader.value(RouterStopSettings.drainTime)
        self.workers = WorkersConfiguration(reading: reader)
        self.site = WorkerSite(reading: reader)
        self.site.rules = ChannelRules.lookUp(in: self.gateway.client?.wholeNamespaces)
        self.agent = AgentConfiguration(reading: reader)
        try Self.finish(reader)
    }

    /// - Throws: all faults of a reader that read single settings before.
    static func check(_ reader: SettingsReader) throws { _ = try WholeConfiguration(reading: reader) }

    /// - Throws: the faults as the program's own error.
    static func finish(_ reader: SettingsReader) throws {
        do throws(SettingsFaults) {
            try reader.finish()
        } catch {
            throw Failure("\(error)")
        }
    }
}

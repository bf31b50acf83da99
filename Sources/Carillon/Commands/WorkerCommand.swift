import ArgumentParser
import Gateway
import Logging
import Metrics
import Settings
import Telemetry
import Workers

/// `carillon worker`: the publish API, and pages, on a bounded pool of threads.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Answers plain HTTP on a bounded pool of threads: the publish API, static files, the demonstration.",
        discussion: "Your own application stays what answers your site; a worker beside it is how backends publish.")

    @OptionGroup(title: "Where to listen") var listen: ListenOptions
    @OptionGroup(title: "Settings") var options: SettingsOptions

    func run() async throws {
        let reader = try self.options.reader(self.listen.flags(for: "workers.listen", port: 8_002))
        let process = ProcessConfiguration(reading: reader)
        let telemetry = TelemetryConfiguration(reading: reader)
        let layer = LayerChoice(reading: reader)
        let workers = WorkersConfiguration(reading: reader)
        var site = WorkerSite(reading: reader)
        site.rules = ChannelRules.lookUp(in: ClientConfiguration.namespaces(reading: reader))
        try WholeConfiguration.finish(reader)
        let runtime = Runtime(label: "worker", telemetry: telemetry, process: process)
        let channelLayer = layer.make(
            observer: LayerDropLog(logger: Logger(label: "layer"), factory: MetricsSystem.factory))
        if !layer.isShared {
            runtime.logger.warning(
                "The memory layer reaches only this process: no gateway hears what is published here")
        }
        let server = try WorkerServer(
            try site.application(layer: channelLayer), configuration: workers, group: runtime.group,
            logger: runtime.logger, metrics: WorkersMetrics())
        try await runtime.run(
            [LayerPart(layer: channelLayer), WorkerPart(server: server, drainTime: site.drainTime, endsWornOut: true)],
            reload: self.options.reloader())
    }
}

import ArgumentParser
import ChannelLayer
import Logging
import Metrics
import NIOCore
import Settings
import Supervision
import Telemetry
import Upstream

/// `carillon agent`: an event listener of supervisord that publishes what the processes of this host do.
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Publishes every change of a process under supervisord; an event listener, started by supervisord.",
        discussion: """
            [eventlistener:carillon-agent]
            command=carillon agent --settings /etc/carillon/settings.json
            events=PROCESS_STATE,PROCESS_GROUP,SUPERVISOR_STATE_CHANGE,REMOTE_COMMUNICATION,TICK_60
            buffer_size=1000

            Standard input and output belong to supervisord; logs go to standard error. With TICK_60 a snapshot of all \
            processes follows every minute.
            """)

    @OptionGroup(title: "Settings") var options: SettingsOptions

    func run() async throws {
        let reader = try self.options.reader()
        var process = ProcessConfiguration(reading: reader)
        if reader.origin(of: ProcessSettings.eventLoops.name) == .default { process.eventLoops = 1 }
        let telemetry = TelemetryConfiguration(reading: reader)
        let layer = LayerChoice(reading: reader)
        let configuration = AgentConfiguration(reading: reader)
        try WholeConfiguration.finish(reader)
        guard Process.environment["SUPERVISOR_ENABLED"] != nil else {
            throw Failure(
                "supervisord starts an agent, as an event listener: see supervisor/agent.conf for the entry it needs")
        }
        let runtime = Runtime(label: "agent", telemetry: telemetry, process: process)
        let outlet = try AgentOutlet(configuration, layer, logger: runtime.logger)
        let agent = Agent(
            host: configuration.host ?? HostName.own, supervisor: try self.supervisor(configuration, runtime),
            publish: outlet.publish, now: { HostName.secondsSince1970 }, logger: runtime.logger)
        try await runtime.run(
            [LayerPart(layer: outlet.layer), AgentPart(agent: agent, outlet: outlet, logger: runtime.logger)],
            reload: self.options.reloader())
    }

    /// - Throws: `Failure` when supervisord told an address that is none.
    private func supervisor(_ configuration: AgentConfiguration, _ runtime: Runtime) throws -> SupervisorClient? {
        var address = configuration.supervisor
        if address == nil, let url = Process.environment["SUPERVISOR_SERVER_URL"] {
            do {
                address = try UpstreamAddress(parsing: url)
            } catch {
                throw Failure("SUPERVISOR_SERVER_URL: \(error); give agent.supervisor")
            }
        }
        guard let address else {
            runtime.logger.warning(
                "supervisord has no server to ask: there are no snapshots and no exit statuses; add [unix_http_server]")
            return nil
        }
        return SupervisorClient(
            address, credentials: configuration.credentials, group: runtime.group, logger: runtime.logger)
    }
}

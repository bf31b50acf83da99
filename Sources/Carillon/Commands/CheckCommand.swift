import ArgumentParser
import NIOCore
import Settings
import Upstream

/// `carillon check`: every fault of the settings at once, without serving anything, and what the layer's broker,
/// nginx, supervisord and this host would not let work.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks settings, and the configurations around them, and lists every fault at once.",
        discussion: """
            carillon check /etc/carillon/settings.json --nginx /etc/nginx/sites-enabled/site \\
                --supervisor /etc/supervisor/supervisord.conf

            Of nginx and supervisord the given files are read; what they include is not. The broker of the channel \
            layer is asked whether it lets us in. Ends with 0 when nothing was \
            found, else with 1.
            """)

    @OptionGroup var options: SettingsOptions

    @Argument(help: ArgumentHelp("The settings file, instead of --settings.", valueName: "file"))
    var file: String?

    @Option(help: ArgumentHelp("An nginx configuration to look at; as often as needed.", valueName: "file"))
    var nginx: [String] = []

    @Option(help: ArgumentHelp("A supervisord configuration to look at; as often as needed.", valueName: "file"))
    var supervisor: [String] = []

    func run() async throws {
        var options = self.options
        if let file = self.file { options.settings = file }
        let reader = try options.reader()
        let configuration = try WholeConfiguration(reading: reader)
        let files = configuration.router.lookAtFiles()
        let unusable = files.problems + files.warnings
        guard unusable.isEmpty else {
            throw Failure("\(unusable.count) files cannot be used\n  " + unusable.joined(separator: "\n  "))
        }
        let given = SettingsCatalog.all.filter { reader.origin(of: $0.name) != .default }.count
        try Output.line(
            "All settings can be used: \(given) given, \(SettingsCatalog.all.count - given) at their defaults.")
        let host = HostCheck(configuration)
        for note in host.notes() { try Output.line("Note: \(note)") }
        let findings = try host.findings() + self.fileFindings(configuration)
        for finding in findings { Output.error("carillon: \(finding)") }
        let problems = await configuration.layer.problems()
        for problem in problems { Output.error("carillon: the channel layer cannot be reached: \(problem)") }
        guard findings.isEmpty, problems.isEmpty else { throw ExitCode(1) }
        if !self.nginx.isEmpty || !self.supervisor.isEmpty {
            try Output.line("Nothing was found in the other files.")
        }
    }

    private func fileFindings(_ configuration: WholeConfiguration) throws -> [Finding] {
        let nginx = try self.nginx.flatMap { path in
            NginxCheck(configuration, path: path).findings(in: String(buffer: try TextFile.read(path)))
        }
        let supervisor = try self.supervisor.flatMap { path in
            SupervisorCheck(configuration, path: path).findings(in: String(buffer: try TextFile.read(path)))
        }
        return nginx + supervisor
    }
}

// MARK: What each check needs of the settings

extension NginxCheck {
    init(_ configuration: WholeConfiguration, path: String) {
        self.init(
            prefix: configuration.gateway.pathPrefix,
            pingInterval: .seconds(configuration.gateway.session.pingInterval),
            allowedOrigins: configuration.gateway.allowedOrigins, path: path)
    }
}

extension SupervisorCheck {
    init(_ configuration: WholeConfiguration, path: String) {
        let drains = [
            configuration.gateway.drainTime, configuration.routerDrainTime,
            .nanoseconds(configuration.site.drainTime.nanoseconds),
        ]
        let pools = [configuration.router.workers] + configuration.router.pools.map(\.upstreams)
        self.init(
            connectionLimit: configuration.gateway.limits.total, drainTime: drains.max() ?? .zero,
            gatewaySockets: Set(configuration.router.gateways.compactMap { $0.address?.socketPath }),
            workerSockets: Set(pools.flatMap(\.addresses).compactMap(\.socketPath)),
            takeover: configuration.gatewayProcess.takeover, gatewayDrainTime: configuration.gateway.drainTime,
            path: path)
    }
}

extension UpstreamAddress {
    /// `nil` when it is no Unix socket.
    fileprivate var socketPath: String? { if case .unix(let path) = self { path } else { nil } }
}

extension HostCheck {
    init(_ configuration: WholeConfiguration) {
        let gateways = configuration.router.gateways.compactMap { gateway in
            gateway.address.map { ("router.gateways.upstreams", $0) }
        }
        let workers = configuration.router.workers.addresses.map { ("router.workers.upstreams", $0) }
        self.init(connectionLimit: configuration.gateway.limits.total, upstreams: gateways + workers)
    }
}

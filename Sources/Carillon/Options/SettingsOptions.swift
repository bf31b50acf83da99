import ArgumentParser
import Settings
import Telemetry

/// Flags that every subcommand with settings has.
struct SettingsOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The settings file. Without it CARILLON_SETTINGS names one.", valueName: "file"))
    var settings: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Gives one setting, as often as needed: --set gateway.compression=true. Counts over everything else.",
            valueName: "name=value"))
    var assignments: [String] = []

    @Option(help: ArgumentHelp("trace, debug, info, notice, warning or error.", valueName: "level"))
    var logLevel: String?

    @Option(help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat: String?

    mutating func validate() throws {
        for assignment in self.assignments where !assignment.contains("=") {
            throw ValidationError("--set \(assignment): wanted NAME=VALUE, as in --set workers.threads=16")
        }
    }

    /// The path of the settings file; `nil` when there is none.
    private var path: String? { self.settings ?? Process.environment["CARILLON_SETTINGS"] }

    private var flags: [SettingsReader.Flag] {
        var flags = self.assignments.map { assignment in
            let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return SettingsReader.Flag(
                setting: String(parts.first ?? ""), flag: "--set", text: String(parts.count > 1 ? parts[1] : ""))
        }
        if let level = self.logLevel { flags.append(.init(setting: "log.level", flag: "--log-level", text: level)) }
        if let format = self.logFormat {
            flags.append(.init(setting: "log.format", flag: "--log-format", text: format))
        }
        return flags
    }

    /// What SIGHUP does: reads everything anew, and gives back what can be put to use while the process serves.
    ///
    /// - Parameter use: puts other parts of it to use; what it throws is told, and the rest stays as it was.
    func reloader(
        _ use: @escaping @Sendable (WholeConfiguration) throws -> Void = { _ in }
    ) -> @Sendable () throws -> TelemetryConfiguration {
        { [self] in
            let whole = try WholeConfiguration(reading: try self.reader())
            try use(whole)
            return whole.telemetry
        }
    }

    /// Opens all sources of settings.
    ///
    /// - Parameter more: flags of the subcommand.
    /// - Throws: `Failure` when the file cannot be read. What is wrong in it is told by the reader's `finish`.
    func reader(_ more: [SettingsReader.Flag] = []) throws -> SettingsReader {
        SettingsReader(
            path: self.path, text: try self.path.map { try TextFile.read($0) }, environment: Process.environment,
            flags: self.flags + more, known: SettingsCatalog.all)
    }
}

import ArgumentParser

/// The root of the command line.
struct Carillon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "carillon",
        abstract: "Live notifications for web applications that already exist.",
        discussion: """
            Try it: "carillon serve" runs everything in one process, without a settings file or a broker, and prints the \
            address of a page to look at.

            Settings come from flags, then CARILLON_… environment variables, then the file given with --settings or \
            CARILLON_SETTINGS. "carillon settings" shows which counts.
            """,
        version: "carillon \(Version.text)",
        groupedSubcommands: [
            CommandGroup(
                name: "Serving",
                subcommands: [ServeCommand.self, RouterCommand.self, GatewayCommand.self, WorkerCommand.self]),
            CommandGroup(name: "Messages", subcommands: [PublishCommand.self, SubscribeCommand.self]),
            CommandGroup(name: "Processes", subcommands: [AgentCommand.self]),
            CommandGroup(
                name: "Settings", subcommands: [CheckCommand.self, SettingsCommand.self, TokenCommand.self]),
        ])
}

/// What this build calls itself, in logs, answers and `--version`.
enum Version {
    static let text = "0.1.0"
}

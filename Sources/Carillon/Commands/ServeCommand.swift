import ArgumentParser

/// `carillon serve`: router, worker and gateway in one process.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Runs everything in one process: router, worker and gateway.",
        discussion: """
            Without settings it runs over the memory layer, lets anybody on this host follow any group under \
            /channels/groups/, shows the demonstration at /, and prints its address and how to publish. The API key is \
            CARILLON_API_KEY, or made up and printed.
            """)

    @OptionGroup(title: "Where to listen") var listen: ListenOptions
    @OptionGroup(title: "Settings") var options: SettingsOptions

    func run() async throws {
        let reader = try self.options.reader(self.listen.flags(for: "router.listen", port: 8_000))
        let configuration = try WholeConfiguration(reading: reader)
        let site = try WholeSite(configuration, reader)
        try await site.run(reload: self.options.reloader)
    }
}

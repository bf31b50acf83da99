import ArgumentParser
import Settings

/// `carillon check`: every fault of the settings at once, without serving anything.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks settings and lists every fault at once.",
        discussion: "Ends with 0 when all settings can be used, else with 1.")

    @OptionGroup var options: SettingsOptions

    @Argument(help: ArgumentHelp("The settings file, instead of --settings.", valueName: "file"))
    var file: String?

    func run() throws {
        var options = self.options
        if let file = self.file { options.settings = file }
        let reader = try options.reader()
        _ = try WholeConfiguration(reading: reader)
        let given = SettingsCatalog.all.filter { reader.origin(of: $0.name) != .default }.count
        try Output.line(
            "All settings can be used: \(given) given, \(SettingsCatalog.all.count - given) at their defaults.")
    }
}

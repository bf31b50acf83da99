import ArgumentParser
import Settings

/// `carillon settings`: what counts, and who said so.
struct SettingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings",
        abstract: "Shows every setting, its value and where it came from; secrets are hidden.",
        discussion:
            "With faults in the settings, the values that would be used instead are shown, and the faults after them.")

    @OptionGroup var options: SettingsOptions

    @Flag(help: "Prints the page docs/settings.md: what each setting means, its bounds and its default.")
    var markdown = false

    @Flag(help: "Prints the settings that were given as environment variables, for an env file.")
    var environment = false

    @Argument(help: ArgumentHelp("Only settings whose name begins with this.", valueName: "prefix"))
    var prefix: String?

    mutating func validate() throws {
        if self.markdown && self.environment {
            throw ValidationError("--markdown and --environment exclude each other")
        }
    }

    func run() throws {
        guard !self.markdown else { return try Output.line(SettingsPage.markdown(SettingsCatalog.sections)) }
        let reader = try self.options.reader()
        let readings = SettingsCatalog.all.map { $0.reading(by: reader) }.filter {
            $0.setting.name.hasPrefix(self.prefix ?? "")
        }
        if self.environment {
            for reading in readings where reading.origin != .default { try Output.line(SettingsPage.variable(reading)) }
        } else {
            // A single setting is shown whole; in the list a long value would hide the others.
            let rows = readings.map { reading in
                let value = reading.shownValue
                let isLong = readings.count > 1 && value.count > 60
                return [reading.setting.name, isLong ? value.prefix(59) + "…" : value, reading.origin.description]
            }
            for line in Output.columns(rows) { try Output.line(line) }
        }
        try WholeConfiguration.check(reader)
    }
}

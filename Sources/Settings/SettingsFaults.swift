/// Everything that is wrong with the settings, at once.
package struct SettingsFaults: Error, Sendable, CustomStringConvertible {
    package struct Fault: Sendable, Hashable {
        /// `settings.json:14`, `environment`, `--port`.
        package let place: String
        /// What was found and what was wanted.
        package let message: String

        package init(place: String, message: String) {
            self.place = place
            self.message = message
        }
    }

    package let faults: [Fault]

    package init(_ faults: [Fault]) { self.faults = faults }

    package var description: String {
        let width = min(self.faults.map(\.place.count).max() ?? 0, 40)
        let lines = self.faults.map { fault in
            "  " + fault.place + String(repeating: " ", count: max(width - fault.place.count, 0)) + "  " + fault.message
        }
        let head = self.faults.count == 1 ? "1 setting cannot be used" : "\(self.faults.count) settings cannot be used"
        return ([head] + lines).joined(separator: "\n")
    }
}

/// One thing that is wrong with the settings: where, what was found, and what was wanted.
package struct SettingsFault: Error, Hashable, Sendable {
    /// `settings.json:14`, `CARILLON_GATEWAY_SLICE`, `--port`; empty when it has no place of its own.
    package var place: String
    /// `gateway.send_queue_limit = 12`
    package var finding: String
    /// `wanted 4096 to 1073741824 bytes`
    package var note: String
    /// The line in the file, for the order; lines first, then everything else as it was found.
    var line: Int?

    package init(place: String = "", finding: String, note: String, line: Int? = nil) {
        self.place = place
        self.finding = finding
        self.note = note
        self.line = line
    }

    var left: String { self.place.isEmpty ? self.finding : "\(self.place)  \(self.finding)" }
}

/// All that is wrong with the settings, as a table a person can work through.
package struct SettingsFaults: Error, Sendable, Hashable, CustomStringConvertible {
    package let faults: [SettingsFault]

    package init(_ faults: [SettingsFault]) {
        var seen: Set<SettingsFault> = []
        let unique = faults.filter { seen.insert($0).inserted }
        self.faults =
            unique.filter { $0.line != nil }.enumerated()
            .sorted { ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset) }.map(\.element)
            + unique.filter { $0.line == nil }
    }

    /// A line that counts, then a line for each, in two columns.
    package var description: String {
        let count = self.faults.count
        let title = count == 1 ? "1 setting cannot be used" : "\(count) settings cannot be used"
        // One very long finding must not push all notes off the screen.
        let width = self.faults.map(\.left.count).filter { $0 <= 72 }.max() ?? 0
        let lines = self.faults.map { fault in
            let left = fault.left
            guard !fault.note.isEmpty else { return "  \(left)" }
            return "  \(left)\(String(repeating: " ", count: max(0, width - left.count)))   \(fault.note)"
        }
        return ([title] + lines).joined(separator: "\n")
    }
}

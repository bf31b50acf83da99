import JSON

/// Finds what was given but is no setting.
enum UnknownNames {
    /// Variables with our prefix that are no settings: the key for `serve` and `publish`, the path of the file.
    private static let otherVariables: Set<String> = ["CARILLON_API_KEY", "CARILLON_SETTINGS"]

    static func faults(
        file: SettingsFile?, environment: SettingsEnvironment, flags: [String: SettingsReader.Flag],
        known: [any AnySetting]
    ) -> [SettingsFault] {
        let names = known.map(\.name)
        var faults: [SettingsFault] = []
        if let file { Walk(file: file, names: names).object(file.tree, path: "", into: &faults) }
        faults += flags.values.sorted { $0.flag < $1.flag }.filter { !names.contains($0.setting) }.map {
            SettingsFault(
                finding: "\($0.flag) \($0.setting)",
                note: self.note(NearestName.of($0.setting, among: names), known: []))
        }
        return faults + self.variables(environment, names: names)
    }

    /// Only what is nearly a setting's variable counts: process managers put variables of their own making there, such
    /// as `CARILLON_GATEWAY_SERVICE_HOST`.
    private static func variables(_ environment: SettingsEnvironment, names: [String]) -> [SettingsFault] {
        let known = names.map(SettingsEnvironment.name)
        let given = environment.variables.keys.filter {
            $0.hasPrefix(SettingsEnvironment.prefix) && !known.contains($0) && !self.otherVariables.contains($0)
        }
        return given.sorted().compactMap { name in
            let stem = String(name.dropFirst(SettingsEnvironment.prefix.count))
            let stems = known.map { String($0.dropFirst(SettingsEnvironment.prefix.count)) }
            guard stem.count > 5, let near = NearestName.of(stem, among: stems) else { return nil }
            return SettingsFault(
                finding: "\(name) is no setting", note: "did you mean \(SettingsEnvironment.prefix)\(near)?")
        }
    }

    static func note(_ nearest: String?, known: [String]) -> String {
        if let nearest { return "is no setting; did you mean \"\(nearest)\"?" }
        guard !known.isEmpty, known.count <= 12 else { return "is no setting" }
        return "is no setting; known here: \(known.sorted().joined(separator: ", "))"
    }

    /// Goes through the tree as far as settings' names reach; what is below a setting is its reader's business.
    private struct Walk {
        let file: SettingsFile
        let names: [String]

        /// Depth is bounded by the number of dots in settings' names.
        func object(_ value: JSONValue, path: String, into faults: inout [SettingsFault]) {
            guard let members = value.object else { return }
            var seen: Set<String> = []
            for member in members {
                let name = path.isEmpty ? member.key : "\(path).\(member.key)"
                let isFirst = seen.insert(member.key).inserted
                if !isFirst {
                    faults.append(self.fault(member.keyOffset, name, "stands twice; remove one"))
                } else if self.names.contains(name) {
                    continue
                } else if self.names.contains(where: { $0.hasPrefix("\(name).") }) {
                    if member.value.object == nil {
                        let finding = "\(name) = \(SettingsText.shown(member.value))"
                        faults.append(self.fault(member.value.offset, finding, "wanted an object, { … }"))
                    }
                    self.object(member.value, path: name, into: &faults)
                } else {
                    faults.append(self.fault(member.keyOffset, name, self.hint(member.key, path: path)))
                }
            }
        }

        private func fault(_ offset: Int, _ finding: String, _ note: String) -> SettingsFault {
            let line = self.file.line(of: offset)
            return SettingsFault(place: "\(self.file.name):\(line)", finding: finding, note: note, line: line)
        }

        /// The nearest key at this place; else a setting that has this key elsewhere.
        private func hint(_ key: String, path: String) -> String {
            let start = path.isEmpty ? "" : "\(path)."
            let keys = Set(
                self.names.filter { $0.hasPrefix(start) }
                    .compactMap { $0.dropFirst(start.count).split(separator: ".").first.map(String.init) })
            if let near = NearestName.of(key, among: keys.sorted()) { return UnknownNames.note(near, known: []) }
            let elsewhere = self.names.first { $0.split(separator: ".").last.map(String.init) == key }
            return UnknownNames.note(elsewhere, known: Array(keys))
        }
    }
}

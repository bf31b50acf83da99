import JSON
package import NIOCore

/// Reads settings: a flag before the environment before the file before the default. Collects every fault instead of
/// stopping at the first, and remembers where each value came from.
package final class SettingsReader {
    /// Where a value came from.
    package enum Source: Sendable, Hashable, CustomStringConvertible {
        case flag(String)
        case environment(String)
        case file(String)
        case standard

        package var description: String {
            switch self {
            case .flag(let name): name
            case .environment(let name): name
            case .file(let place): place
            case .standard: "default"
            }
        }
    }

    /// One line of `carillon settings`.
    package struct Entry: Sendable {
        package let name: String
        package let value: String
        package let source: Source
    }

    private let file: SettingsFile?
    private let environment: [String: String]
    private let flags: [String: String]
    private let known: [any AnySetting]
    private(set) package var faults: [SettingsFaults.Fault] = []
    private(set) package var entries: [Entry] = []

    /// - Parameters:
    ///   - path: of the file, for messages; `nil` without a file.
    ///   - text: the file's bytes.
    ///   - flags: values from the command line, by the name of the setting.
    ///   - known: all settings there are; whatever else the file has is a fault.
    package init(
        path: String? = nil, text: ByteBuffer? = nil, environment: [String: String] = [:],
        flags: [String: String] = [:], known: [any AnySetting]
    ) {
        self.environment = environment
        self.flags = flags
        self.known = known
        guard let path, let text else {
            self.file = nil
            return
        }
        do {
            let file = try SettingsFile(path: path, text: text, environment: environment)
            self.file = file
            self.faults += file.faults
            self.findUnknown(file)
        } catch {
            self.file = nil
            let line = JSONValue.line(of: error.offset, in: text)
            self.faults.append(.init(place: "\(path):\(line)", message: "is no JSON: \(error.message)"))
        }
    }

    /// The value of a setting; its default when what was given cannot be used, which is noted.
    package func value<Value: SettingValue>(_ setting: Setting<Value>) -> Value {
        let (value, source) = self.find(setting)
        let shown = setting.isSecret && source != .standard ? "(hidden)" : value.shown
        self.entries.append(Entry(name: setting.name, value: shown, source: source))
        return value
    }

    private func find<Value: SettingValue>(_ setting: Setting<Value>) -> (Value, Source) {
        let variable = setting.environmentName
        if let text = self.flags[setting.name] {
            if let value = setting.read(text) { return (value, .flag("flag")) }
            self.note("command line", setting, found: text)
        } else if let text = self.environment[variable] {
            if let value = setting.read(text) { return (value, .environment(variable)) }
            self.note("environment", setting, found: text, called: variable)
        } else if let file = self.file, let node = file.value(at: setting.name) {
            if let value = setting.read(node) { return (value, .file(file.place(node.offset))) }
            self.note(file.place(node.offset), setting, found: file.excerpt(node))
        }
        return (setting.defaultValue, .standard)
    }

    private func note(_ place: String, _ setting: any AnySetting, found: String, called name: String? = nil) {
        let found = setting.isSecret ? "(hidden)" : String(found.prefix(60))
        self.note(place: place, "\(name ?? setting.name) = \(found)   wanted \(setting.wanted)")
    }

    /// Notes a fault; at most a hundred are kept.
    package func note(place: String, _ message: String) {
        guard self.faults.count < 100 else { return }
        self.faults.append(.init(place: place, message: message))
    }

    /// A part of the file with a shape of its own; `nil` when the file does not have it.
    package func node(_ setting: StructuredSetting) -> SettingsNode? {
        guard let file = self.file, let value = file.value(at: setting.name) else { return nil }
        self.entries.append(
            Entry(name: setting.name, value: Self.summary(value), source: .file(file.place(value.offset))))
        return SettingsNode(value: value, path: setting.name, reader: self)
    }

    private static func summary(_ value: JSONValue) -> String {
        switch value.kind {
        case .array(let elements): "[\(elements.count) elements]"
        case .object(let members): "{\(members.map(\.key).joined(separator: ", "))}"
        default: "(set)"
        }
    }

    func place(_ offset: Int) -> String { self.file?.place(offset) ?? "settings" }

    /// - Throws: all faults noted so far, if there are any.
    package func finish() throws(SettingsFaults) {
        guard self.faults.isEmpty else { throw SettingsFaults(self.faults) }
    }

    // MARK: Unknown keys

    private func findUnknown(_ file: SettingsFile) {
        self.findUnknown(file.root, path: "", file)
    }

    private func findUnknown(_ value: JSONValue, path: String, _ file: SettingsFile) {
        guard let members = value.object else { return }
        for member in members {
            let name = path.isEmpty ? member.key : path + "." + member.key
            if self.known.contains(where: { $0.name == name }) { continue }
            if self.known.contains(where: { $0.name.hasPrefix(name + ".") }) {
                guard member.value.object != nil else {
                    self.note(place: file.place(member.value.offset), "\(name) = \(file.excerpt(member.value))   wanted an object")
                    continue
                }
                self.findUnknown(member.value, path: name, file)
            } else {
                let near = Nearest.name(to: name, among: self.known.map(\.name)).map { "; did you mean \($0)?" } ?? ""
                self.note(place: file.place(member.keyOffset), "\(name) is no setting\(near)")
            }
        }
    }
}

/// The settings file as a tree, the `${NAME}`s in its texts replaced.
struct SettingsFile {
    let path: String
    let text: ByteBuffer
    let root: JSONValue
    let faults: [SettingsFaults.Fault]

    init(path: String, text: ByteBuffer, environment: [String: String]) throws(JSONError) {
        self.path = path
        self.text = text
        let tree = try JSONValue(parsing: text)
        guard tree.object != nil else { throw JSONError("a settings file is one object", at: 0) }
        var faults: [SettingsFaults.Fault] = []
        self.root = Self.replaced(tree, at: "", environment) { name, setting, offset in
            let place = "\(path):\(JSONValue.line(of: offset, in: text))"
            faults.append(.init(place: place, message: "\(name) is not set in the environment; named by \(setting)"))
        }
        self.faults = faults
    }

    func place(_ offset: Int) -> String { "\(self.path):\(JSONValue.line(of: offset, in: self.text))" }

    /// The beginning of a value as it stands in the file.
    func excerpt(_ value: JSONValue) -> String {
        if let text = value.string { return "\"\(text.prefix(60))\"" }
        var bytes = ByteBuffer()
        bytes.writeJSON(value)
        return String(String(buffer: bytes).prefix(60))
    }

    func value(at name: String) -> JSONValue? {
        var value = self.root
        for key in name.split(separator: ".") {
            guard let next = value[String(key)] else { return nil }
            value = next
        }
        return value
    }

    /// Recursion is bounded by the reader's depth.
    private static func replaced(
        _ value: JSONValue, at name: String, _ environment: [String: String],
        missing: (_ variable: String, _ setting: String, _ offset: Int) -> Void
    ) -> JSONValue {
        switch value.kind {
        case .string(let text):
            return JSONValue(
                .string(Self.replaced(text, environment) { missing($0, name, value.offset) }), offset: value.offset)
        case .array(let elements):
            let elements = elements.enumerated().map { index, element in
                Self.replaced(element, at: "\(name)[\(index)]", environment, missing: missing)
            }
            return JSONValue(.array(elements), offset: value.offset)
        case .object(let members):
            let members = members.map { member in
                JSONValue.Member(
                    key: member.key, keyOffset: member.keyOffset,
                    value: Self.replaced(
                        member.value, at: name.isEmpty ? member.key : name + "." + member.key, environment,
                        missing: missing))
            }
            return JSONValue(.object(members), offset: value.offset)
        default: return value
        }
    }

    private static func replaced(_ text: String, _ environment: [String: String], missing: (String) -> Void) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "${"), let end = rest[start.upperBound...].firstIndex(of: "}") {
            result += rest[..<start.lowerBound]
            let name = String(rest[start.upperBound..<end])
            if let value = environment[name] { result += value } else { missing(name) }
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }
}

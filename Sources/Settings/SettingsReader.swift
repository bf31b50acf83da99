package import JSON
package import NIOCore

/// Reads settings: a flag counts over an environment variable, that over the file, that over the default.
///
/// Reading never fails on the spot. What cannot be used is written down, the default takes its place, and `finish`
/// throws everything at once. Belongs to one thread, for the time of a start or a reload.
package final class SettingsReader {
    /// A value given on the command line.
    package struct Flag: Sendable {
        /// The setting it gives.
        package let setting: String
        /// As it was written, for messages: `--port`.
        package let flag: String
        package let text: String

        package init(setting: String, flag: String, text: String) {
            self.setting = setting
            self.flag = flag
            self.text = text
        }
    }

    private enum Given {
        case text(String, SettingsOrigin)
        case json(JSONValue, SettingsOrigin)
    }

    let environment: SettingsEnvironment
    let file: SettingsFile?
    private let flags: [String: Flag]
    /// What is wrong so far.
    package private(set) var faults: [SettingsFault] = []

    /// - Parameters:
    ///   - path: the file's, as the person named it, for messages; `nil` without a file.
    ///   - text: the file's bytes.
    ///   - known: every setting of the program, also of parts that this process does not run, since all processes share
    ///     one file. Whatever else is given is a fault.
    package init(
        path: String? = nil, text: ByteBuffer? = nil, environment: [String: String] = [:], flags: [Flag] = [],
        known: [any AnySetting]
    ) {
        self.environment = SettingsEnvironment(environment)
        self.flags = Dictionary(flags.map { ($0.setting, $0) }) { $1 }
        do throws(SettingsFaults) {
            self.file = if let path, let text { try SettingsFile(name: path, text: text) } else { nil }
        } catch {
            self.file = nil
            self.faults = error.faults
        }
        self.faults += UnknownNames.faults(
            file: self.file, environment: self.environment, flags: self.flags, known: known)
    }

    // MARK: Reading

    /// The value in force: what was given, or the default when nothing was, or nothing that can be used.
    package func value<Value>(_ setting: Setting<Value>) -> Value {
        self.given(setting) ?? setting.defaultValue
    }

    /// The value that somebody gave; `nil` when nobody did, or when it cannot be used.
    package func given<Value>(_ setting: Setting<Value>) -> Value? {
        switch self.lookUp(setting.name) {
        case nil: return nil
        case .text(let text, let origin):
            do throws(SettingMismatch) {
                return try setting.kind.value(from: text)
            } catch {
                let shown = setting.isSecret ? SettingsText.hidden : SettingsText.shown(text)
                self.fault(SettingsFault(place: "", finding: "\(origin) = \(shown)", note: error.note))
                return nil
            }
        case .json(let json, let origin):
            let node = SettingsNode(setting.name, json, origin, self, isSecret: setting.isSecret)
            return node.read(setting.kind)
        }
    }

    /// The parts of a structured setting; `nil` when nobody gave it.
    package func node(_ setting: StructuredSetting) -> SettingsNode? {
        switch self.lookUp(setting.name) {
        case nil: return nil
        case .json(let json, let origin): return SettingsNode(setting.name, json, origin, self)
        case .text(let text, let origin):
            do throws(JSONError) {
                let json = try JSONValue(parsing: ByteBuffer(string: text), options: .init(depth: 32))
                return SettingsNode(setting.name, json, origin, self)
            } catch {
                self.fault(
                    SettingsFault(
                        place: "\(origin)", finding: "is not JSON", note: "\(error.message); wanted \(setting.wanted)"))
                return nil
            }
        }
    }

    /// Who gave the value of the setting called `name`.
    package func origin(of name: String) -> SettingsOrigin {
        switch self.lookUp(name) {
        case nil: .default
        case .text(_, let origin), .json(_, let origin): origin
        }
    }

    private func lookUp(_ name: String) -> Given? {
        if let flag = self.flags[name] { return .text(flag.text, .flag(flag.flag)) }
        let variable = SettingsEnvironment.name(of: name)
        if let text = self.environment[variable] { return .text(text, .environment(variable)) }
        guard let file = self.file, let json = file.value(of: name) else { return nil }
        return .json(json, .file(file.name, line: file.line(of: json.offset)))
    }

    // MARK: Faults

    /// Writes down something that is wrong; `finish` throws it with the others.
    package func fault(_ fault: SettingsFault) { self.faults.append(fault) }

    /// Something wrong with a setting's value that its kind could not see, such as two settings that exclude each other.
    package func fault(_ setting: any AnySetting, _ note: String) {
        let origin = self.origin(of: setting.name)
        self.fault(SettingsFault(place: origin.place, finding: setting.name, note: note, line: origin.line))
    }

    /// Ends the reading.
    ///
    /// - Throws: all faults at once.
    package func finish() throws(SettingsFaults) {
        guard self.faults.isEmpty else { throw SettingsFaults(self.faults) }
    }
}

/// Where a value came from.
package enum SettingsOrigin: Hashable, Sendable, CustomStringConvertible {
    case `default`
    case file(String, line: Int)
    case environment(String)
    case flag(String)

    package var description: String {
        switch self {
        case .default: "default"
        case .file(let name, let line): "\(name):\(line)"
        case .environment(let name): name
        case .flag(let flag): flag
        }
    }

    var place: String { self == .default ? "" : self.description }
    var line: Int? { if case .file(_, let line) = self { line } else { nil } }
}

/// A setting, the value in force, and where that came from.
package struct SettingReading: Sendable {
    package let setting: any AnySetting
    /// As it would stand in a file; `${NAME}` of structured settings is not filled in.
    package let value: JSONValue
    package let origin: SettingsOrigin

    /// The value for a person to see: secrets are hidden.
    package var shownValue: String {
        self.setting.isSecret && !SettingsText.isEmpty(self.value)
            ? SettingsText.hidden : SettingsText.json(SettingsText.redacted(self.value))
    }
}

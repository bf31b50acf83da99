import Settings

/// What goes wrong under supervisord: found by reading its configuration.
struct SupervisorCheck {
    /// `gateway.connection_limit`.
    let connectionLimit: Int
    /// The longest `drain_time` of the parts.
    let drainTime: Duration
    /// The Unix sockets of `router.gateways.upstreams`.
    var gatewaySockets: Set<String> = []
    /// Those of the router's workers and pools.
    var workerSockets: Set<String> = []
    /// `gateway.takeover`, for entries that do not set it.
    var takeover: String?
    /// `gateway.drain_time`.
    var gatewayDrainTime = Duration.zero
    let path: String

    /// Descriptors a gateway has beside its browsers' sockets: listeners, the layer, logs.
    private static let descriptorsBesides = 64

    func findings(in text: String) -> [Finding] {
        let sections = Self.sections(of: text)
        var findings: [Finding] = []
        let carillons = sections.filter { $0["command"]?.value.contains("carillon") == true }
        if let supervisord = sections.first(where: { $0.name == "supervisord" }) {
            findings += self.limitFindings(supervisord)
        }
        let isRoot = sections.first { $0.name == "supervisord" }?["user"] == nil
        for program in carillons { findings += self.programFindings(program, supervisordIsRoot: isRoot) }
        findings += carillons.flatMap(self.takeoverFindings)
        findings += self.gatewayFindings(carillons) + carillons.flatMap(self.sharedSocketFindings)
        for group in sections where group.name.hasPrefix("group:") {
            findings += self.groupFindings(group, sections)
        }
        return findings
    }

    private func limitFindings(_ supervisord: Section) -> [Finding] {
        let wanted = self.connectionLimit.addingReportingOverflow(Self.descriptorsBesides).partialValue
        let minfds = supervisord["minfds"]
        let value = minfds.flatMap { Int($0.value) } ?? 1_024
        guard value < wanted else { return [] }
        return [
            Finding(
                self.path, minfds?.line ?? supervisord.line,
                "minfds is \(value): a gateway could not hold the \(self.connectionLimit) connections of "
                    + "gateway.connection_limit; wanted at least \(wanted)")
        ]
    }

    private func programFindings(_ program: Section, supervisordIsRoot: Bool) -> [Finding] {
        var findings: [Finding] = []
        let command = program["command"]?.value ?? ""
        if command.contains(" agent") {
            if !program.name.hasPrefix("eventlistener:") {
                findings.append(
                    Finding(self.path, program.line, "an agent must be an [eventlistener:…], not [\(program.name)]"))
            }
            let size = program["buffer_size"].flatMap { Int($0.value) } ?? 10
            if size < 100 {
                findings.append(
                    Finding(
                        self.path, program["buffer_size"]?.line ?? program.line,
                        "buffer_size \(size) loses events when a group restarts; wanted 1000"))
            }
            return findings
        }
        if supervisordIsRoot, program["user"] == nil {
            findings.append(
                Finding(self.path, program.line, "[\(program.name)] would run as root: add user=carillon"))
        }
        let stopWait = program["stopwaitsecs"]
        let seconds = stopWait.flatMap { Int64($0.value) } ?? 10
        if Duration.seconds(seconds) < self.drainTime {
            findings.append(
                Finding(
                    self.path, stopWait?.line ?? program.line,
                    "stopwaitsecs \(seconds) ends [\(program.name)] before it has drained "
                        + "(\(DurationText.text(self.drainTime))); wanted more"))
        }
        if let signal = program["stopsignal"], !["TERM", "INT"].contains(signal.value.uppercased()) {
            findings.append(
                Finding(self.path, signal.line, "stopsignal \(signal.value) ends at once; TERM drains first"))
        }
        return findings
    }

    private func groupFindings(_ group: Section, _ sections: [Section]) -> [Finding] {
        let names = (group["programs"]?.value ?? "").split(separator: ",").map { $0.filter { !$0.isWhitespace } }
        return names.filter { name in sections.contains { $0.name == "fcgi-program:\(name)" } }.map { name in
            Finding(
                self.path, group["programs"]?.line ?? group.line,
                "[fcgi-program:\(name)] gets no socket when it stands in a [group]: take it out")
        }
    }

    // MARK: Who finds whom

    /// Gateways that the router does not know, and the other way round.
    private func gatewayFindings(_ programs: [Section]) -> [Finding] {
        let started = programs.flatMap { program in
            Self.gatewaySockets(of: program).map { (path: $0, program: program) }
        }
        guard !started.isEmpty else { return [] }
        let unknown = started.filter { !self.gatewaySockets.contains($0.path) }.map { path, program in
            Finding(
                self.path, program["command"]?.line ?? program.line,
                "the gateway at \(path) gets no browsers: router.gateways.upstreams does not name unix://\(path)")
        }
        let missing = self.gatewaySockets.subtracting(started.map(\.path)).sorted().map { path in
            Finding(
                self.path, started.first?.program.line,
                "no gateway listens at \(path), which router.gateways.upstreams names: see numprocs and --unix-socket")
        }
        return unknown + missing
    }

    /// Where the processes of an entry listen: the path after `--unix-socket`, with supervisord's number of each process.
    private static func gatewaySockets(of program: Section) -> [String] {
        let words = (program["command"]?.value ?? "").split(separator: " ")
        guard words.contains("gateway"), let flag = words.firstIndex(where: { ["--unix-socket", "-u"].contains($0) }),
            words.index(after: flag) < words.endIndex
        else { return [] }
        let path = String(words[words.index(after: flag)])
        let count = program["numprocs"].flatMap { Int($0.value) } ?? 1
        let first = program["numprocs_start"].flatMap { Int($0.value) } ?? 0
        guard (1...1_024).contains(count), (0...1_000_000).contains(first) else { return [] }
        return (first..<first + count).map { number in
            let digits = String(number)
            let padded = String(repeating: "0", count: max(2 - digits.count, 0)) + digits
            return path.replacing("%(process_num)d", with: digits).replacing("%(process_num)02d", with: padded)
        }
    }

    /// The socket that workers share: whose it is, and whether the router asks there.
    private func sharedSocketFindings(_ program: Section) -> [Finding] {
        guard program.name.hasPrefix("fcgi-program:"), let socket = program["socket"],
            let path = socket.value.wholeMatch(of: /unix:\/\/(\/.*)/)?.1
        else { return [] }
        var findings: [Finding] = []
        if program["user"] != nil, program["socket_owner"] == nil {
            findings.append(
                Finding(
                    self.path, socket.line,
                    "\(path) would be supervisord's own, and closed to the router: add socket_owner=carillon:carillon"))
        }
        if !self.workerSockets.contains(String(path)) {
            findings.append(
                Finding(
                    self.path, socket.line,
                    "nobody asks the workers at \(path): neither router.workers nor router.pools has unix://\(path)"))
        }
        return findings
    }

    // MARK: The file

    struct Section {
        struct Value {
            let value: String
            let line: Int
        }

        let name: String
        let line: Int
        var values: [String: Value] = [:]

        subscript(key: String) -> Value? { self.values[key] }
    }

    /// The sections of an INI file as supervisord reads it; `;` after a space begins a comment.
    private static func sections(of text: String) -> [Section] {
        var sections: [Section] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.prefix { $0 != "\r" }
            guard let first = line.first, !";#".contains(first), !first.isWhitespace else { continue }
            if first == "[" {
                sections.append(Section(name: String(line.dropFirst().prefix { $0 != "]" }), line: index + 1))
            } else if let mark = line.firstIndex(where: { "=:".contains($0) }), !sections.isEmpty {
                let key = line[..<mark].filter { !$0.isWhitespace }
                let value = Self.withoutComment(line[line.index(after: mark)...])
                sections[sections.count - 1].values[key] = Section.Value(value: value, line: index + 1)
            }
        }
        return sections
    }

    private static func withoutComment(_ text: Substring) -> String {
        var value = ""
        var previous: Character = " "
        for character in text {
            if character == ";", previous.isWhitespace { break }
            value.append(character)
            previous = character
        }
        let words = value.split(whereSeparator: \.isWhitespace)
        return words.joined(separator: " ")
    }
}

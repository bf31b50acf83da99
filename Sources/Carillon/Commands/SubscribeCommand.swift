import ArgumentParser
import HTTP1
import NIOCore
import Settings

/// `carillon subscribe`: what a route or a group delivers, one JSON value a line.
struct SubscribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subscribe",
        abstract: "Prints what a group or a route delivers, one JSON value a line.",
        discussion: """
            carillon subscribe jobs
            carillon subscribe ws://127.0.0.1:8000/channels/updates/ --header "Cookie: sessionid=…"
            carillon subscribe jobs --count 1 --timeout 30s

            A text message that is JSON is printed as it came, any other as a JSON string; a binary one as \
            {"base64": "…"}. Ends with 0 after --count messages, or, without --count, after --timeout; with 2 when the time \
            passed first; with 1 when the connection was refused or lost.
            """)

    @Argument(help: "A group of \"carillon serve\", a path, or the ws:// address of a route.")
    var target: String

    @Option(help: ArgumentHelp("Ends after so many messages.", valueName: "n"))
    var count: Int?

    @Option(
        help: ArgumentHelp("Ends after this time, as in 500ms or 30s.", valueName: "time"), transform: TimeOption.read)
    var timeout: Duration?

    @Option(help: ArgumentHelp("Where a group or a path is looked for.", valueName: "url"))
    var url = "http://127.0.0.1:8000"

    @Option(
        name: [.customShort("H"), .long],
        help: ArgumentHelp("A field for the request, as often as needed: a cookie, a token.", valueName: "name: value"))
    var header: [String] = []

    mutating func validate() throws {
        if let count = self.count, count < 1 { throw ValidationError("--count \(count): wanted 1 or more") }
        for field in self.header where !field.contains(":") {
            throw ValidationError("--header \(field): wanted NAME: VALUE")
        }
    }

    func run() async throws {
        let place = try SubscribePlace(self.target, base: self.url)
        let fields = self.fields
        let outcome = try await self.race { try await self.print(place, fields) }
        if outcome == .timedOut, let count = self.count {
            let wanted = count == 1 ? "a message" : "\(count) messages"
            let time = self.timeout.map(DurationText.text) ?? ""
            throw Failure("\(time) passed before \(wanted) came", status: 2)
        }
    }

    private var fields: HeaderFields {
        HeaderFields(
            self.header.map { field in
                let colon = field.firstIndex(of: ":") ?? field.endIndex
                return (String(field[..<colon]), String(field[colon...].dropFirst().drop { $0 == " " }))
            })
    }

    private enum Outcome { case complete, timedOut }

    private func print(_ place: SubscribePlace, _ fields: HeaderFields) async throws {
        var rest = self.count ?? .max
        try await WebSocketClient.messages(of: place, fields: fields) { message in
            try Output.line(message.json)
            rest -= 1
            return rest > 0
        }
    }

    /// Ends with whatever is first: the work or the time.
    private func race(_ work: @escaping @Sendable () async throws -> Void) async throws -> Outcome {
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            group.addTask {
                try await work()
                return .complete
            }
            if let timeout = self.timeout {
                group.addTask {
                    try await Task.sleep(for: timeout)
                    return .timedOut
                }
            }
            defer { group.cancelAll() }
            return try await group.next() ?? .complete
        }
    }
}

/// What to connect to.
struct SubscribePlace {
    let host: String
    let port: Int
    /// Path and query, as they go on the wire.
    let target: String

    /// - Parameters:
    ///   - text: a ws:// or http:// address, a path, or a group of `carillon serve`.
    ///   - base: where paths and groups are.
    /// - Throws: `Failure` for what is none of these.
    init(_ text: String, base: String) throws {
        if let rest = Self.rest(of: text) {
            let slash = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
            let path = String(rest[slash...])
            (self.host, self.port) = try Self.authority(rest[..<slash], in: text)
            self.target = path.hasPrefix("/") ? path : "/" + path
        } else if text.contains("://") {
            throw Failure(
                "\(text): wanted ws://HOST:PORT/PATH; TLS is not for this tool, ask the router or gateway itself")
        } else {
            guard let rest = Self.rest(of: base) else { throw Failure("--url \(base): wanted http://HOST:PORT") }
            let slash = rest.firstIndex(of: "/") ?? rest.endIndex
            (self.host, self.port) = try Self.authority(rest[..<slash], in: base)
            let site = rest[slash...].hasSuffix("/") ? rest[slash...].dropLast() : rest[slash...]
            self.target = site + (text.hasPrefix("/") ? text : "/channels/groups/\(text)")
        }
        guard self.target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Failure("\(self.target): a path is written percent-encoded")
        }
    }

    private static func rest(of url: String) -> Substring? {
        for scheme in ["ws://", "http://"] where url.hasPrefix(scheme) { return url.dropFirst(scheme.count) }
        return nil
    }

    private static func authority(_ text: Substring, in url: String) throws -> (String, Int) {
        let colon = text.lastIndex { $0 == ":" || $0 == "]" }.flatMap { text[$0] == ":" ? $0 : nil }
        var host = text[..<(colon ?? text.endIndex)]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        let port = colon.map { Int(text[text.index(after: $0)...]) ?? 0 } ?? 80
        guard !host.isEmpty, !host.contains("@"), (1...65_535).contains(port) else {
            throw Failure("\(url): wanted HOST:PORT after the scheme")
        }
        return (String(host), port)
    }
}

import JSON
import NIOCore
import Testing

@testable import Gateway

/// A browser that speaks the client protocol in JSON, line for line.
final class ClientLines {
    static let path = "/channels/connection/websocket"

    let browser: LiveBrowser
    private var waiting: [String] = []
    /// The data of all publications, recovered and live ones, in their order.
    private(set) var publications: [JSONValue] = []
    /// Those among it that are numbers.
    private(set) var heard: [Int64] = []
    /// Of the publications that have one.
    private(set) var offsets: [Int64] = []

    init(_ browser: LiveBrowser) { self.browser = browser }

    /// A browser past its `connect`.
    static func connected(to gateway: LiveGateway) async throws -> ClientLines {
        let lines = ClientLines(try await gateway.open(Self.path))
        try await lines.say(#"{"id":1,"connect":{}}"#)
        #expect(try await lines.nextText().hasPrefix(#"{"id":1,"connect":{"client":"#))
        return lines
    }

    func say(_ text: String) async throws { try await self.browser.say(text) }

    /// The next line as it came.
    func nextText() async throws -> String {
        while self.waiting.isEmpty {
            self.waiting = try await self.browser.nextText().split(separator: "\n").map(String.init)
        }
        return self.waiting.removeFirst()
    }

    func next() async throws -> JSONValue {
        try JSONValue(parsing: ByteBuffer(string: try await self.nextText()))
    }

    /// The reply to a command; publications that come before it are heard.
    func reply(_ id: Int64) async throws -> JSONValue {
        while true {
            let line = try await self.next()
            if line["id"]?.integer == id { return line }
            self.take(line["push"]?["pub"])
        }
    }

    /// Reads until `count` publications have been heard in all.
    func hear(_ count: Int) async throws {
        while self.publications.count < count { self.take(try await self.next()["push"]?["pub"]) }
    }

    /// Hears the publications that the reply to a `subscribe` brings with it.
    func recovered(_ reply: JSONValue) {
        for publication in reply["subscribe"]?["publications"]?.array ?? [] { self.take(publication) }
    }

    private func take(_ publication: JSONValue?) {
        guard let publication, let data = publication["data"] else { return }
        self.publications.append(data)
        if let number = data.integer { self.heard.append(number) }
        if let offset = publication["offset"]?.integer { self.offsets.append(offset) }
    }
}

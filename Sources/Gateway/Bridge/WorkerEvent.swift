import ChannelLayer
import HTTP1
import NIOCore

/// What a worker is told of a browser, in the words of Channels' events, with the keys of its first version.
enum WorkerEvent {
    static func connect(_ handshake: Handshake) -> LayerMessage {
        let head = handshake.head
        let headers = head.fields.map { field in
            LayerValue.array([Self.bytes(field.name.lowercased()), Self.bytes(field.value)])
        }
        return [
            "type": .string("websocket.connect"), "scheme": .string("ws"),
            "path": .string(Self.path(of: handshake)), "query_string": Self.bytes(head.query),
            "root_path": .string(""), "headers": .array(headers),
            "client": .array([.string(handshake.client.address?.description ?? ""), .int(0)]),
        ]
    }

    static func receive(_ message: BrowserMessage, path: String) -> LayerMessage {
        switch message {
        case .text(let text):
            [
                "type": .string("websocket.receive"), "path": .string(path), "text": .string(String(buffer: text)),
                "bytes": .null,
            ]
        case .binary(let bytes):
            ["type": .string("websocket.receive"), "path": .string(path), "text": .null, "bytes": .bytes(bytes)]
        }
    }

    static func disconnect(_ code: CloseCode, path: String) -> LayerMessage {
        ["type": .string("websocket.disconnect"), "path": .string(path), "code": .int(Int64(code.rawValue))]
    }

    /// The path without its encoding.
    static func path(of handshake: Handshake) -> String {
        (try? PercentEncoding.decode(handshake.head.path)) ?? handshake.head.path
    }

    private static func bytes(_ text: String) -> LayerValue { .bytes(ByteBuffer(string: text)) }
}

/// What a worker's answer means for its browser.
enum WorkerAnswer {
    /// Either the events of today's Channels (`websocket.send`, `websocket.close`, and whatever the route has rules for), or
    /// the keys of the first version: `text` or `bytes`, then `close`, `accept`.
    static func outcomes(of message: LayerMessage, by rules: RuleSet) -> [RuleOutcome] {
        switch message.type {
        case "websocket.accept": []
        case nil: Self.outcomes(ofKeys: message)
        default: [rules.outcome(for: message)]
        }
    }

    private static func outcomes(ofKeys message: LayerMessage) -> [RuleOutcome] {
        var outcomes: [RuleOutcome] = []
        switch (message["text"], message["bytes"]) {
        case (.string(let text)?, .null?), (.string(let text)?, nil): outcomes.append(.text(ByteBuffer(string: text)))
        case (.null?, .bytes(let bytes)?), (nil, .bytes(let bytes)?): outcomes.append(.binary(bytes))
        case (nil, nil), (.null?, nil), (nil, .null?), (.null?, .null?): break
        // Both, or neither is what it should be: ignored, as it was then.
        default: outcomes.append(.drop(.wrongType))
        }
        if let code = Self.closeCode(message["close"]) { return outcomes + [.close(code: code, reason: "")] }
        if message["accept"] == .bool(false) {
            outcomes.append(.close(code: CloseCode.policyViolation.rawValue, reason: ""))
        }
        return outcomes
    }

    /// `true`, or a code that may be sent.
    private static func closeCode(_ value: LayerValue?) -> UInt16? {
        switch value {
        case .bool(true)?: CloseCode.normal.rawValue
        case .int(let code)?: CloseValues.code(code) ?? CloseCode.normal.rawValue
        default: nil
        }
    }
}

package import NIOCore

/// What a layer message becomes on a route's connections. Made once per message and rule set, never per subscriber.
package enum RuleOutcome: Hashable, Sendable {
    /// A text message; valid UTF-8.
    case text(ByteBuffer)
    /// A binary message.
    case binary(ByteBuffer)
    /// The connections are closed.
    ///
    /// - code: one that may stand in a close frame (RFC 6455 §7.4).
    /// - reason: at most 123 bytes.
    case close(code: UInt16, reason: String)
    /// Nothing is sent, as it should be.
    case nothing
    /// Nothing is sent, and the message is counted under the reason.
    case drop(DropReason)
}

/// Why a layer message did not become anything. The raw value is the label of the metric that counts it.
package enum DropReason: String, Hashable, Sendable, CaseIterable {
    /// A rule says so.
    case rule
    /// No rule has this type, and the route drops what is left.
    case noRule = "no_rule"
    /// There is no text under `type`, and the route drops what is left.
    case noType = "no_type"
    /// The key the rule reads is not there.
    case missingKey = "missing_key"
    /// The value under the key is not what the rule wants.
    case wrongType = "wrong_type"
    /// `websocket.connect`, `.receive` and `.disconnect` come from browsers, never from the layer.
    case protocolEvent = "protocol_event"
    /// The close code may not be sent.
    case badCloseCode = "bad_close_code"
    /// Nested too deeply to be written as JSON.
    case notEncodable = "not_encodable"
}

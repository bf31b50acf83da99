package import ChannelLayer
import JSON
import NIOCore

/// The rules of a route, ready to be asked: which frame does a layer message become?
///
/// Looked up by type: the route's own rule for exactly this type; what is built in (`carillon.publication`,
/// `websocket.send`, `websocket.close`); the route's wildcard with the longest beginning; then `otherwise`. The order
/// of the rules does not matter. Equal sets are equal values, so that routes can share one encoded frame
/// (`RuleSetRegistry`).
///
/// Whoever can write to the layer could pretend to be a browser with `websocket.receive`, `.connect` and
/// `.disconnect`; they are dropped whatever the rules say.
package struct RuleSet: Sendable {
    /// What becomes of messages that no rule is for.
    package enum Otherwise: String, Hashable, Sendable, CaseIterable {
        /// They are dropped and counted.
        case drop
        /// The whole message as JSON, also one without a type.
        case json
    }

    private enum Action: Sendable {
        case rule(Rule.Action)
        case publication
        case send
        case close
        case protocolEvent
    }

    package let rules: [Rule]
    package let otherwise: Otherwise
    private let exact: [TypeKey: Action]
    /// The longest beginning first.
    private let wildcards: [Rule]
    private let publicationIsBuiltIn: Bool

    /// Nothing but what is built in.
    package static let builtIn = RuleSet(rules: [], otherwise: .drop)

    /// - Parameter rules: of two for the same pattern the first counts (the settings report the second).
    package init(rules: [Rule], otherwise: Otherwise) {
        self.rules = rules
        self.otherwise = otherwise
        var exact: [TypeKey: Action] = [:]
        for rule in rules where !rule.type.isWildcard && exact[rule.type.key] == nil {
            exact[rule.type.key] = .rule(rule.action)
        }
        for event in TypeKey.protocolEvents { exact[event] = .protocolEvent }
        let publication = TypeKey(LayerMessage.publicationType)
        self.publicationIsBuiltIn = exact[publication] == nil
        let builtIn: [(TypeKey, Action)] = [
            (publication, .publication), (TypeKey("websocket.send"), .send), (TypeKey("websocket.close"), .close),
        ]
        for (key, action) in builtIn where exact[key] == nil { exact[key] = action }
        self.exact = exact
        self.wildcards = rules.filter(\.type.isWildcard)
            .sorted { $0.type.key.text.utf8.count > $1.type.key.text.utf8.count }
    }

    /// What `message` becomes. Never fails: what cannot become anything is a `drop` with its reason.
    ///
    /// - Complexity: a scan of the message's keys and one lookup; a `carillon.publication` whose data is JSON text hands
    ///   its bytes on without a copy.
    package func outcome(for message: LayerMessage) -> RuleOutcome {
        guard case .string(let type)? = message.value(under: "type") else {
            return self.unmatched(message, .noType)
        }
        if self.publicationIsBuiltIn, type == LayerMessage.publicationType { return Self.publication(message) }
        let key = TypeKey(type)
        switch self.exact[key] {
        case .rule(let action): return action.outcome(for: message)
        case .publication: return Self.publication(message)
        case .send: return Self.send(message)
        case .close: return Self.close(message)
        case .protocolEvent: return .drop(.protocolEvent)
        case nil: break
        }
        for rule in self.wildcards where rule.type.key.isPrefix(of: key) { return rule.action.outcome(for: message) }
        return self.unmatched(message, .noRule)
    }

    private func unmatched(_ message: LayerMessage, _ reason: DropReason) -> RuleOutcome {
        switch self.otherwise {
        case .drop: .drop(reason)
        case .json: Rule.Action.json(.whole(withType: true)).outcome(for: message)
        }
    }

    // MARK: - Built in

    private static func publication(_ message: LayerMessage) -> RuleOutcome {
        switch message.value(under: "data") {
        case .json(let text)?: .text(text.bytes)
        case .bytes(let bytes)?: .binary(bytes)
        case let value?: LayerJSON.text(of: value).map(RuleOutcome.text) ?? .drop(.notEncodable)
        case nil: .drop(.missingKey)
        }
    }

    /// The ASGI event: one of `text` and `bytes`, the other absent or null.
    private static func send(_ message: LayerMessage) -> RuleOutcome {
        switch (message.valueUnlessNull(under: "text"), message.valueUnlessNull(under: "bytes")) {
        case (.string(let text)?, nil): .text(ByteBuffer(string: text))
        case (nil, .bytes(let bytes)?): .binary(bytes)
        case (nil, nil): .drop(.missingKey)
        default: .drop(.wrongType)
        }
    }

    /// The ASGI event: `code`, 1000 when absent, and `reason`, none when absent.
    private static func close(_ message: LayerMessage) -> RuleOutcome {
        Rule.Close(
            code: message.valueUnlessNull(under: "code") == nil ? .constant(1000) : .key("code"),
            reason: message.valueUnlessNull(under: "reason") == nil ? .constant("") : .key("reason")
        ).outcome(for: message)
    }
}

extension RuleSet: Hashable {
    package static func == (one: RuleSet, other: RuleSet) -> Bool {
        one.otherwise == other.otherwise && one.rules == other.rules
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.otherwise)
        hasher.combine(self.rules)
    }
}

/// The different rule sets of a gateway, numbered from 0, so that "the same rules" is one comparison of integers.
package struct RuleSetRegistry: Sendable {
    package private(set) var sets: [RuleSet] = []

    package init() {}

    /// The number of `set`; equal sets have the same.
    package mutating func id(for set: RuleSet) -> Int {
        if let known = self.sets.firstIndex(of: set) { return known }
        self.sets.append(set)
        return self.sets.count - 1
    }
}

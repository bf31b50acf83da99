package import ChannelLayer
import JSON
package import NIOCore

/// What becomes of messages from the browser on a route.
package enum ReceiveRule: Hashable, Sendable {
    /// They are dropped and counted.
    case drop
    /// Each goes back to the browser it came from, as it came.
    case echo
    /// They are sent to a group.
    case group(Template, form: Form, requiredKey: String?)
    /// Each is a POST to this path of the workers; the answer's body goes back.
    case worker(Template)
    /// They are handed to a `runworker` through a channel of the layer.
    case layer(ChannelName)

    /// How a message looks in the layer.
    package enum Form: Hashable, Sendable {
        /// `{"type": "carillon.publication", "data": …}`: a text message must be JSON, a binary one is carried as it is.
        case publication
        /// `{"type": type, key: …}` with the text or the bytes as they came.
        case message(type: String, key: String)
    }

    /// The rule for one connection, its templates filled in.
    ///
    /// - Throws: `invalidGroup`: the connection is refused, before it can say anything.
    package func receiver(for connection: TemplateValues) throws(Refusal) -> Receiver {
        switch self {
        case .drop:
            return .drop
        case .echo:
            return .echo
        case .group(let template, let form, let requiredKey):
            return .group(try template.group(for: connection), form: form, requiredKey: requiredKey)
        case .worker(let template):
            do {
                return .worker(target: try template.path(for: connection))
            } catch {
                throw Refusal(.invalidGroup, "receive path \"\(template.text)\": \(error)")
            }
        case .layer(let channel):
            return .layer(channel)
        }
    }
}

/// A whole message from the browser.
package enum BrowserMessage: Hashable, Sendable {
    /// Valid UTF-8.
    case text(ByteBuffer)
    case binary(ByteBuffer)

    /// The same, said to the browser.
    fileprivate var asOutcome: RuleOutcome {
        switch self {
        case .text(let text): .text(text)
        case .binary(let bytes): .binary(bytes)
        }
    }
}

/// A route's `ReceiveRule` on one connection.
package enum Receiver: Hashable, Sendable {
    case drop
    case echo
    /// Indirect: every session keeps a receiver, and nearly all of them take nothing.
    indirect case group(GroupName, form: ReceiveRule.Form, requiredKey: String?)
    case worker(target: String)
    case layer(ChannelName)

    /// What is to be done with one message.
    package enum Action: Equatable, Sendable {
        case send(LayerMessage, to: GroupName)
        /// Back to the browser alone.
        case reply(RuleOutcome)
        /// POST to this path (`AskRequest.init(_:to:for:)`); the answer's body goes back to the browser.
        case ask(target: String)
        /// Hand it to the channel.
        case hand(to: ChannelName)
        case drop(DropReason)
    }

    /// Why a message was dropped; the raw value is the label of the metric that counts it.
    package enum DropReason: String, Hashable, Sendable, CaseIterable {
        /// The route takes none.
        case notTaken = "not_taken"
        /// A text that had to be JSON and is not.
        case notJSON = "not_json"
        /// Not a JSON object with the key that is required.
        case missingKey = "missing_key"
    }

    /// Whether the session must keep its handshake for `ask`.
    package var needsHandshake: Bool {
        switch self {
        case .worker, .layer: true
        default: false
        }
    }

    package func action(for message: BrowserMessage) -> Action {
        switch self {
        case .drop: .drop(.notTaken)
        case .echo: .reply(message.asOutcome)
        case .worker(let target): .ask(target: target)
        case .layer(let channel): .hand(to: channel)
        case .group(let group, let form, let requiredKey):
            Self.layerMessage(message, form: form, requiredKey: requiredKey, to: group)
        }
    }

    private static func layerMessage(
        _ message: BrowserMessage, form: ReceiveRule.Form, requiredKey: String?, to group: GroupName
    ) -> Action {
        var json: JSONText?
        if case .text(let text) = message, requiredKey != nil || form == .publication {
            json = try? JSONText(validating: text)
            guard json != nil else { return .drop(.notJSON) }
        }
        if let requiredKey, json?.field(requiredKey) == nil { return .drop(.missingKey) }
        switch (form, message) {
        case (.publication, .text):
            guard let json else { return .drop(.notJSON) }
            return .send(.publication(.json(json)), to: group)
        case (.publication, .binary(let bytes)):
            return .send(.publication(.bytes(bytes)), to: group)
        case (.message(let type, let key), .text(let text)):
            return .send(Self.message(type, key, .string(String(buffer: text))), to: group)
        case (.message(let type, let key), .binary(let bytes)):
            return .send(Self.message(type, key, .bytes(bytes)), to: group)
        }
    }

    private static func message(_ type: String, _ key: String, _ value: LayerValue) -> LayerMessage {
        LayerMessage(entries: [
            .init(key: .string("type"), value: .string(type)), .init(key: .string(key), value: value),
        ])
    }
}

extension AskRequest {
    /// A browser's message as a POST to the workers, with the credentials of its handshake.
    package init(_ message: BrowserMessage, to target: String, for handshake: Handshake) {
        switch message {
        case .text(let text):
            let type = (try? JSONText(validating: text)) == nil ? "text/plain; charset=utf-8" : "application/json"
            self.init("POST", target, for: handshake, body: text, contentType: type)
        case .binary(let bytes):
            self.init("POST", target, for: handshake, body: bytes, contentType: "application/octet-stream")
        }
    }
}

/// What becomes of layer messages of one type, or of all types that begin alike.
package struct Rule: Hashable, Sendable {
    package var type: TypePattern
    package var action: Action

    package init(_ type: TypePattern, _ action: Action) {
        self.type = type
        self.action = action
    }

    package enum Action: Hashable, Sendable {
        /// The value under the key as a text message: a text as it is, anything else as its JSON text.
        case text(key: String)
        /// The bytes under the key as a binary message.
        case bytes(key: String)
        /// A JSON object as a text message.
        case json(Selection)
        /// The connection is closed.
        case close(Close)
        case drop
    }

    /// What of a message goes into its JSON object.
    package enum Selection: Hashable, Sendable {
        /// Everything, perhaps without the type.
        case whole(withType: Bool)
        /// These keys in this order, the type in front of them if it is wanted. A missing one drops the message.
        case keys([String], withType: Bool)
    }

    /// How a connection is closed.
    package struct Close: Hashable, Sendable {
        package var code: Source<UInt16>
        package var reason: Source<String>

        package init(code: Source<UInt16>, reason: Source<String> = .constant("")) {
            self.code = code
            self.reason = reason
        }
    }

    /// A value from the settings, or from a key of the message.
    package enum Source<Value: Hashable & Sendable>: Hashable, Sendable {
        case constant(Value)
        case key(String)
    }
}

/// Which types a rule is for: one, or with `*` at the end all that begin so.
///
/// A dot and an underscore are the same, as in Channels, where `chat.message` and `chat_message` reach one handler.
package struct TypePattern: Hashable, Sendable {
    /// As it was written.
    package let text: String
    let key: TypeKey
    let isWildcard: Bool

    /// - Throws: an empty pattern, `*` elsewhere than at the end, and the events that only browsers make.
    package init(_ text: String) throws(RouteError) {
        let isWildcard = text.utf8.last == UInt8(ascii: "*")
        let name = isWildcard ? String(text.dropLast()) : text
        guard isWildcard || !name.isEmpty else {
            throw RouteError("a type is empty, wanted for example \"user.message\", \"job.*\" or \"*\"")
        }
        guard !name.utf8.contains(UInt8(ascii: "*")) else {
            throw RouteError("\"\(text)\" has a \"*\" in the middle, wanted it at the end only, for example \"job.*\"")
        }
        let key = TypeKey(name)
        guard isWildcard || !TypeKey.protocolEvents.contains(key) else {
            throw RouteError(
                "\"\(text)\" comes from browsers only and has no meaning as a layer message; remove the rule")
        }
        self.text = text
        self.key = key
        self.isWildcard = isWildcard
    }

    package static func == (one: TypePattern, other: TypePattern) -> Bool {
        one.key == other.key && one.isWildcard == other.isWildcard
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.key)
        hasher.combine(self.isWildcard)
    }
}

/// A type as rules compare it: dots are underscores. Nothing is copied to compare or hash one.
struct TypeKey: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static let protocolEvents: Set<TypeKey> = [
        TypeKey("websocket.connect"), TypeKey("websocket.receive"), TypeKey("websocket.disconnect"),
    ]

    @inline(__always)
    private static func folded(_ byte: UInt8) -> UInt8 { byte == UInt8(ascii: ".") ? UInt8(ascii: "_") : byte }

    static func == (one: TypeKey, other: TypeKey) -> Bool {
        one.text.utf8.count == other.text.utf8.count && one.isPrefix(of: other)
    }

    func isPrefix(of other: TypeKey) -> Bool {
        guard self.text.utf8.count <= other.text.utf8.count else { return false }
        return zip(self.text.utf8, other.text.utf8).allSatisfy { Self.folded($0) == Self.folded($1) }
    }

    func hash(into hasher: inout Hasher) {
        // Folded to one word first (FNV-1a): the hasher's cost is per call, and no outsider adds keys to the table.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in self.text.utf8 { hash = (hash ^ UInt64(Self.folded(byte))) &* 0x100_0000_01b3 }
        hasher.combine(hash)
    }
}

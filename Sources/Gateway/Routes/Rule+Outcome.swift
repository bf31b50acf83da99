import ChannelLayer
import NIOCore

extension LayerMessage {
    /// The value under a key; of two the last counts. (Without making a `LayerValue` of the key to compare with.)
    @inline(__always)
    func value(under key: String) -> LayerValue? {
        for entry in self.entries.reversed() {
            if case .string(let name) = entry.key, name == key { return entry.value }
        }
        return nil
    }

    /// As `value(under:)`; a null is as good as nothing.
    func valueUnlessNull(under key: String) -> LayerValue? {
        let value = self.value(under: key)
        return value == .null ? nil : value
    }
}

extension Rule.Action {
    func outcome(for message: LayerMessage) -> RuleOutcome {
        switch self {
        case .drop:
            return .drop(.rule)
        case .close(let close):
            return close.outcome(for: message)
        case .json(let selection):
            return selection.outcome(for: message)
        case .bytes(let key):
            guard let value = message.value(under: key) else { return .drop(.missingKey) }
            guard case .bytes(let bytes) = value else { return .drop(.wrongType) }
            return .binary(bytes)
        case .text(let key):
            guard let value = message.value(under: key) else { return .drop(.missingKey) }
            return Self.text(value)
        }
    }

    /// A text as it is, whether it came as a value or as the JSON text of one; other values as their JSON text. Bytes
    /// are a wrong type: a page that expects text has no use for base64 it was not told of.
    private static func text(_ value: LayerValue) -> RuleOutcome {
        switch value {
        case .string(let text): .text(ByteBuffer(string: text))
        case .bytes, .ext: .drop(.wrongType)
        case .json(let text):
            text.stringValue.map { .text(ByteBuffer(string: $0)) } ?? .text(text.bytes)
        default: LayerJSON.text(of: value).map(RuleOutcome.text) ?? .drop(.notEncodable)
        }
    }
}

extension Rule.Selection {
    fileprivate func outcome(for message: LayerMessage) -> RuleOutcome {
        let entries: [LayerValue.Entry]
        switch self {
        case .whole(withType: true):
            entries = message.entries
        case .whole(withType: false):
            entries = message.entries.filter { $0.key != .string("type") }
        case .keys(let keys, let withType):
            var chosen: [LayerValue.Entry] = []
            for key in withType ? ["type"] + keys : keys {
                guard let value = message.value(under: key) else { return .drop(.missingKey) }
                chosen.append(LayerValue.Entry(key: .string(key), value: value))
            }
            entries = chosen
        }
        return LayerJSON.text(of: .map(entries)).map(RuleOutcome.text) ?? .drop(.notEncodable)
    }
}

extension Rule.Close {
    func outcome(for message: LayerMessage) -> RuleOutcome {
        let code: UInt16
        switch self.code {
        case .constant(let constant):
            code = constant
        case .key(let key):
            guard let value = message.value(under: key) else { return .drop(.missingKey) }
            guard case .int(let number) = value else { return .drop(.wrongType) }
            guard let valid = CloseValues.code(number) else { return .drop(.badCloseCode) }
            code = valid
        }
        switch self.reason {
        case .constant(let constant):
            return .close(code: code, reason: CloseValues.reason(constant))
        case .key(let key):
            guard let value = message.value(under: key) else { return .drop(.missingKey) }
            guard case .string(let text) = value else { return .drop(.wrongType) }
            return .close(code: code, reason: CloseValues.reason(text))
        }
    }
}

/// The agreement on permessage-deflate, from the browser's `Sec-WebSocket-Extensions` (RFC 7692 sections 5 and 7.1).
package struct CompressionAgreement: Sendable, Hashable {
    /// 9 to 15: the window our compressor may use.
    package let windowBits: Int
    /// What we answer in `Sec-WebSocket-Extensions`.
    package let answer: String

    /// The first offer that we can keep; `nil` when there is none, and then nothing is compressed.
    ///
    /// - Parameter headers: the values of all `Sec-WebSocket-Extensions` fields.
    package init?(offers headers: [String]) {
        for header in headers {
            for offer in header.split(separator: ",").prefix(16) {
                guard let agreement = Self.agreement(on: offer) else { continue }
                self = agreement
                return
            }
        }
        return nil
    }

    private init(windowBits: Int, answer: String) {
        self.windowBits = windowBits
        self.answer = answer
    }

    private static func agreement(on offer: Substring) -> CompressionAgreement? {
        var parts = offer.split(separator: ";", omittingEmptySubsequences: false).map(Self.trimmed)[...]
        guard parts.popFirst()?.lowercased() == "permessage-deflate" else { return nil }
        var windowBits: Int?
        var seen: Set<String> = []
        for part in parts {
            let pieces = part.split(separator: "=", maxSplits: 1).map(Self.trimmed)
            guard let name = pieces.first?.lowercased(), seen.insert(name).inserted else { return nil }
            let value = pieces.count > 1 ? Self.unquoted(pieces[1]) : nil
            switch name {
            case "server_no_context_takeover", "client_no_context_takeover":
                guard value == nil else { return nil }
            case "client_max_window_bits":
                guard value == nil || Self.bits(value) != nil else { return nil }
            case "server_max_window_bits":
                // zlib cannot make raw deflate with a window of 8 bits.
                guard let bits = Self.bits(value), bits >= 9 else { return nil }
                windowBits = bits
            default: return nil
            }
        }
        var answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        if let windowBits { answer += "; server_max_window_bits=\(windowBits)" }
        return CompressionAgreement(windowBits: windowBits ?? 15, answer: answer)
    }

    private static func bits(_ value: String?) -> Int? {
        guard let value, !value.hasPrefix("0"), !value.hasPrefix("+"), let bits = Int(value), (8...15).contains(bits)
        else { return nil }
        return bits
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }

    private static func unquoted(_ text: String) -> String {
        guard text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else { return text }
        return String(text.dropFirst().dropLast())
    }
}

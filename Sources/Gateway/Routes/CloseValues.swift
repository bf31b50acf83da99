/// What may stand in a close frame that an application asks for.
enum CloseValues {
    /// Whether a code may be sent (RFC 6455 §7.4.1 and the IANA registry): not those that only describe what happened
    /// (1005, 1006, 1015) and not those nobody has registered.
    static func maySend(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    /// The code a number names, if it may be sent.
    static func code(_ number: some BinaryInteger) -> UInt16? {
        UInt16(exactly: number).flatMap { Self.maySend($0) ? $0 : nil }
    }

    /// A reason cut to the 123 bytes a control frame has room for (RFC 6455 §5.5), between two characters.
    static func reason(_ text: String) -> String {
        guard text.utf8.count > 123 else { return text }
        var kept = ""
        var bytes = 0
        for scalar in text.unicodeScalars {
            bytes += UTF8.width(scalar)
            guard bytes <= 123 else { break }
            kept.unicodeScalars.append(scalar)
        }
        return kept
    }
}

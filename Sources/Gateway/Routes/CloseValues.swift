/// What may stand in a close frame that an application asks for.
enum CloseValues {
    /// Whether a code may be sent.
    static func maySend(_ code: UInt16) -> Bool { CloseCode(rawValue: code).mayStandInFrame }

    /// The code a number names, if it may be sent.
    static func code(_ number: some BinaryInteger) -> UInt16? {
        UInt16(exactly: number).flatMap { Self.maySend($0) ? $0 : nil }
    }

    /// A reason cut to the 123 bytes a control frame has room for (RFC 6455 §5.5), between two characters.
    static func reason(_ text: String) -> String { String(text.prefix(utf8Bytes: 123)) }
}

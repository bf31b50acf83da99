/// What the first bytes of a connection say about who should have it.
package enum PeekDecision: Equatable, Sendable {
    /// The first request is for the gateways: the socket itself is handed over.
    case gateway
    /// Anything else, and anything that cannot be told simply: the proxy reads it with the full parser.
    case proxy
    /// Too few bytes so far; look again when more have come.
    case undecided
}

/// Decides by the first request's path, from bytes that were looked at and not consumed.
///
/// Only the plain shape `METHOD SP /path` is recognised; every other start (absolute-form targets, TLS, a second space,
/// an empty line) goes to the proxy, which parses or refuses it. A decision never depends on how the bytes were cut:
/// more bytes turn `undecided` into one of the others and never change one of the others.
package struct PeekRule: Sendable {
    /// Methods are at most this long for a simple decision; longer ones go to the proxy.
    package static let methodBytes = 16

    /// The path prefix that belongs to the gateways, such as `/channels/`.
    package let prefix: [UInt8]

    /// - Parameter prefix: begins with `/`; an empty prefix matches nothing.
    package init(prefix: String) {
        self.prefix = Array(prefix.utf8)
    }

    /// The number of bytes that always suffices to decide.
    package var bytesNeeded: Int { Self.methodBytes + 1 + self.prefix.count }

    /// Decides from the connection's first bytes.
    package func decide(_ bytes: UnsafeRawBufferPointer) -> PeekDecision {
        guard !self.prefix.isEmpty else { return .proxy }
        var index = 0
        while index < bytes.count, Self.isUpperCaseLetter(bytes[index]) {
            index += 1
            if index > Self.methodBytes { return .proxy }
        }
        guard index < bytes.count else { return .undecided }
        guard index > 0, bytes[index] == UInt8(ascii: " ") else { return .proxy }
        index += 1
        for wanted in self.prefix {
            guard index < bytes.count else { return .undecided }
            guard bytes[index] == wanted else { return .proxy }
            index += 1
        }
        return .gateway
    }

    /// Registered methods are upper-case letters; `M-SEARCH` and the like can take the longer way.
    private static func isUpperCaseLetter(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
    }
}

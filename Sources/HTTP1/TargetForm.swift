/// The four forms of a request target (RFC 9112 section 3.2), each with the methods it is for.
enum TargetForm {
    /// - Parameter target: visible ASCII without `#`, not empty.
    static func isRight(_ target: UnsafeRawBufferPointer, method: String) -> Bool {
        if method == "CONNECT" { return Authority.isValid(target, needsPort: true) }
        guard let first = target.first else { return false }
        if first == UInt8(ascii: "/") { return true }
        if first == UInt8(ascii: "*"), target.count == 1 { return method == "OPTIONS" }
        guard let authority = Self.authority(target) else { return false }
        return !authority.isEmpty && Authority.isValid(UnsafeRawBufferPointer(rebasing: authority))
    }

    /// What was wanted, for the person who sent something else.
    static func rule(method: String) -> String {
        switch method {
        case "CONNECT": "The target of CONNECT is host:port."
        case "OPTIONS": "The target is neither a path, nor an http URL with a valid host, nor *."
        default: "The target is neither a path nor an http URL with a valid host."
        }
    }

    /// The authority of a target in absolute form (`http://host:port/path`), perhaps empty; `nil` for other forms.
    private static func authority(_ target: UnsafeRawBufferPointer) -> Slice<UnsafeRawBufferPointer>? {
        let start: Int
        if Self.begins(target, with: "http://") {
            start = 7
        } else if Self.begins(target, with: "https://") {
            start = 8
        } else {
            return nil
        }
        let rest = target[start...]
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        return rest[..<end]
    }

    private static func begins(_ target: UnsafeRawBufferPointer, with scheme: StaticString) -> Bool {
        guard target.count >= scheme.utf8CodeUnitCount else { return false }
        for index in 0..<scheme.utf8CodeUnitCount where FieldBytes.lowered(target[index]) != scheme.utf8Start[index] {
            return false
        }
        return true
    }
}

/// `host` or `host:port` (RFC 3986 section 3.2.2), without user information.
enum Authority {
    /// - Parameter needsPort: with a host and a port, as for CONNECT. Otherwise nothing at all is valid too: the `Host` of
    ///   a target without authority.
    static func isValid(_ bytes: UnsafeRawBufferPointer, needsPort: Bool = false) -> Bool {
        guard let first = bytes.first else { return !needsPort }
        guard let hostEnd = first == UInt8(ascii: "[") ? Self.endOfLiteral(bytes) : Self.endOfName(bytes) else {
            return false
        }
        guard hostEnd < bytes.count else { return !needsPort }
        guard bytes[hostEnd] == UInt8(ascii: ":"), hostEnd > 0 else { return false }
        let port = bytes[(hostEnd &+ 1)...]
        guard !port.isEmpty else { return !needsPort }
        var number = 0
        for byte in port {
            guard FieldBytes.isDigit(byte), number <= 65_535 else { return false }
            number = number &* 10 &+ Int(byte &- 0x30)
        }
        return port.count <= 5 && number <= 65_535
    }

    static func isValid(_ text: String, needsPort: Bool = false) -> Bool {
        var text = text
        return text.withUTF8 { Self.isValid(UnsafeRawBufferPointer($0), needsPort: needsPort) }
    }

    /// `[2001:db8::1]`; other literals are of the future.
    private static func endOfLiteral(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let close = bytes.firstIndex(of: UInt8(ascii: "]")), (4...46).contains(close) else { return nil }
        let address = FieldBytes.text(UnsafeRawBufferPointer(rebasing: bytes[1..<close]))
        guard address.utf8.contains(UInt8(ascii: ":")), IPAddress(address) != nil else { return nil }
        return close &+ 1
    }

    /// Where the name ends: at a colon, or at the end. `nil` when it has something a name cannot have.
    private static func endOfName(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: ":") { return index }
            if byte == UInt8(ascii: "%") {
                guard index &+ 2 < bytes.count, FieldBytes.hex(bytes[index &+ 1]) != nil,
                    FieldBytes.hex(bytes[index &+ 2]) != nil
                else { return nil }
                index &+= 2
            } else if !Self.isHost(byte) {
                return nil
            }
            index &+= 1
        }
        return index
    }

    /// Unreserved characters and sub-delimiters, but the comma, which makes a list of what must be one host.
    private static func isHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: ";"),
            UInt8(ascii: "="):
            true
        default: false
        }
    }
}

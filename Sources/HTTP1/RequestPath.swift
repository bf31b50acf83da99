/// Paths as they come, and as an application may understand them.
package enum RequestPath {
    /// The path of a target in origin form.
    package static func pathOnly(_ target: String) -> Substring {
        Substring(target.utf8.prefix { $0 != UInt8(ascii: "?") })
    }

    /// Whether nothing in it can be understood in two ways: no `%`, no `//`, no segment that begins with a dot.
    package static func isPlain(_ path: Substring.UTF8View) -> Bool {
        var afterSlash = false
        for byte in path {
            if byte == UInt8(ascii: "%") { return false }
            let isSlash = byte == UInt8(ascii: "/")
            if afterSlash, isSlash || byte == UInt8(ascii: ".") { return false }
            afterSlash = isSlash
        }
        return true
    }

    /// With its percent-encoding undone, without segments of dots, and with single slashes (RFC 3986 section 5.2.4). What is
    /// no right encoding stays as it is.
    package static func resolved(_ path: Substring.UTF8View) -> String {
        var segments: [[UInt8]] = []
        var bytes = Self.decoded(path)[...]
        let endsOpen = bytes.last == UInt8(ascii: "/")
        while let start = bytes.firstIndex(where: { $0 != UInt8(ascii: "/") }) {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "/")) ?? bytes.endIndex
            let segment = bytes[start..<end]
            bytes = bytes[end...]
            let isDots = segment.allSatisfy { $0 == UInt8(ascii: ".") } && segment.count <= 2
            if !isDots { segments.append(Array(segment)) }
            if isDots, segment.count == 2, !segments.isEmpty { segments.removeLast() }
            if isDots, bytes.isEmpty { return Self.text(segments, endsOpen: true) }
        }
        return Self.text(segments, endsOpen: endsOpen)
    }

    private static func text(_ segments: [[UInt8]], endsOpen: Bool) -> String {
        let path = segments.reduce(into: [UInt8]()) { $0 += [UInt8(ascii: "/")] + $1 }
        return String(decoding: path.isEmpty || endsOpen ? path + [UInt8(ascii: "/")] : path, as: UTF8.self)
    }

    private static func decoded(_ path: Substring.UTF8View) -> [UInt8] {
        let bytes = Array(path)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = FieldBytes.hex(bytes[index + 1]), let low = FieldBytes.hex(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return decoded
    }
}

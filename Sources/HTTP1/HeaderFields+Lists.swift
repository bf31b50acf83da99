import NIOCore

/// Fields whose values are lists (RFC 9110 section 5.6.1): several fields of one name are one list.
extension HeaderFields {
    /// Whether `token` stands in a comma-separated list under `name`, in whatever case and in however many fields.
    public func hasToken(_ token: String, in name: String) -> Bool {
        let known = KnownField(name)
        if known != .other { return self.hasToken(token, in: known) }
        return self.places.contains { place in
            self.hasName(place, name, known) && self.withValue(place) { FieldList.contains(token, in: $0) }
        }
    }

    package func hasToken(_ token: String, in field: KnownField) -> Bool {
        self.anyValue(of: field) { FieldList.contains(token, in: $0) }
    }

    /// The elements of a comma-separated list under `name`, without white space around them and without empty ones. A comma
    /// between double quotes separates nothing. For `X-Forwarded-For`, `Forwarded`, `Accept` and the like.
    ///
    /// - Parameter limit: elements; what comes after them is left out.
    public func elements(_ name: String, limit: Int = 256) -> [String] {
        let known = KnownField(name)
        if known != .other, !self.present.contains(known) { return [] }
        var elements: [String] = []
        for place in self.places where self.hasName(place, name, known) {
            self.withValue(place) { value in
                _ = FieldList.any(in: value) { element in
                    guard elements.count < limit else { return true }
                    if !element.isEmpty { elements.append(FieldBytes.text(element)) }
                    return false
                }
            }
        }
        return elements
    }

    /// Whether the request asks for a media type by its full name (RFC 9110 section 12.5.1).
    ///
    /// Wildcards don't count: every browser sends `*/*`, and who wants an event stream names it. A weight of zero
    /// (`;q=0`) refuses. Other parameters are passed over.
    ///
    /// - Parameter mediaType: such as `text/event-stream`, in whatever case.
    public func accepts(_ mediaType: String) -> Bool {
        self.anyValue(of: .accept) { value in
            FieldList.any(in: value) { element in
                let end = element.firstIndex(of: UInt8(ascii: ";")) ?? element.endIndex
                let type = FieldBytes.trimmed(UnsafeRawBufferPointer(rebasing: element[..<end]))
                guard FieldBytes.isSame(type, mediaType) else { return false }
                return !FieldList.hasZeroWeight(element[end...])
            }
        }
    }
}

/// Comma-separated lists as bytes.
enum FieldList {
    /// Calls `body` with each element, trimmed, perhaps empty, until it answers `true`.
    ///
    /// - Returns: whether it did.
    static func any(in list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        var start = 0
        var index = 0
        while index < list.count {
            switch list[index] {
            case UInt8(ascii: "\""): index = Self.endOfQuoted(list, from: index &+ 1) ?? index
            case UInt8(ascii: ","):
                if body(FieldBytes.trimmed(UnsafeRawBufferPointer(rebasing: list[start..<index]))) { return true }
                start = index &+ 1
            default: break
            }
            index &+= 1
        }
        return body(FieldBytes.trimmed(UnsafeRawBufferPointer(rebasing: list[start...])))
    }

    /// Where the quote that closes the text from `start` stands. `nil` without one: then the opening quote means nothing, so
    /// that nobody can swallow what a proxy appends by leaving a quote open.
    private static func endOfQuoted(_ list: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        while index < list.count {
            switch list[index] {
            case UInt8(ascii: "\""): return index
            case UInt8(ascii: "\\"): index &+= 2
            default: index &+= 1
            }
        }
        return nil
    }

    static func contains(_ token: String, in list: UnsafeRawBufferPointer) -> Bool {
        var token = token
        return token.withUTF8 { token in
            let token = UnsafeRawBufferPointer(token)
            // The list of one is what is nearly always met.
            if FieldBytes.isSame(list, token) { return !list.isEmpty }
            return Self.any(in: list) { !$0.isEmpty && FieldBytes.isSame($0, token) }
        }
    }

    /// Whether `;q=0`, `;q=0.0` and so on stands among parameters.
    static func hasZeroWeight(_ parameters: Slice<UnsafeRawBufferPointer>) -> Bool {
        parameters.split(separator: UInt8(ascii: ";")).contains { parameter in
            let parameter = FieldBytes.trimmed(UnsafeRawBufferPointer(rebasing: parameter))
            guard parameter.count > 2, parameter[0] | 0x20 == UInt8(ascii: "q"), parameter[1] == UInt8(ascii: "=")
            else {
                return false
            }
            return parameter[2...].allSatisfy { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: ".") }
        }
    }
}

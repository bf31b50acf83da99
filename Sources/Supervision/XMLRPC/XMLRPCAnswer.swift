package import NIOCore

/// Reads the answer to a call.
///
/// Lenient where supervisord is: it writes control characters, even NUL, into texts as they are, which a reader of true
/// XML must refuse. Strict in what has bounds: size is the caller's limit, depth is 32, and a tag that is not closed is an
/// error.
package enum XMLRPCAnswer {
    /// The first value of the answer.
    ///
    /// - Throws: `XMLRPCFault` when the answer is one; `XMLRPCError` when it is no answer.
    package static func parse(_ body: ByteBuffer) throws -> XMLRPCValue {
        var reader = XMLRPCReader(Array(body.readableBytesView))
        try reader.open("methodResponse")
        if reader.skip("fault") {
            let fault = try reader.value(depth: 0)
            throw XMLRPCFault(code: fault["faultCode"]?.integer ?? 0, text: fault["faultString"]?.string ?? "")
        }
        try reader.open("params")
        try reader.open("param")
        return try reader.value(depth: 0)
    }
}

/// Bytes that are no XML-RPC.
package struct XMLRPCError: Error, Equatable, CustomStringConvertible {
    package let wanted: String
    /// Bytes from the beginning.
    package let offset: Int

    package var description: String { "not XML-RPC: \(self.wanted) was wanted at byte \(self.offset)" }
}

/// Goes through the tags of an answer in the only order they can have.
struct XMLRPCReader {
    private static let maximumDepth = 32

    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Takes `<name>`.
    mutating func open(_ name: String) throws(XMLRPCError) {
        guard self.skip(name) else { throw self.error("<\(name)>") }
    }

    /// Takes `<name>` if that is next; what stands before the first tag, and white space, is passed over.
    mutating func skip(_ name: String) -> Bool {
        let start = self.index
        self.skipSpace()
        while self.take("<?") || self.take("<!") {
            guard self.move(past: UInt8(ascii: ">")) else { break }
            self.skipSpace()
        }
        if self.take("<\(name)>") { return true }
        self.index = start
        return false
    }

    private mutating func close(_ name: String) throws(XMLRPCError) {
        self.skipSpace()
        guard self.take("</\(name)>") else { throw self.error("</\(name)>") }
    }

    mutating func value(depth: Int) throws(XMLRPCError) -> XMLRPCValue {
        guard depth < Self.maximumDepth else { throw self.error("a value of fewer than \(Self.maximumDepth) levels") }
        if self.skip("value/") { return .string("") }
        try self.open("value")
        let value = try self.content(depth: depth)
        try self.close("value")
        return value
    }

    private mutating func content(depth: Int) throws(XMLRPCError) -> XMLRPCValue {
        for name in ["int", "i4", "i8"] where self.skip(name) {
            let text = try self.text(upTo: name)
            guard let number = Int(text.filter { !$0.isWhitespace }) else { throw self.error("a whole number") }
            return .int(number)
        }
        if self.skip("boolean") { return .bool(try self.text(upTo: "boolean").contains("1")) }
        if self.skip("double") {
            guard let number = Double(try self.text(upTo: "double")) else { throw self.error("a number") }
            return .double(number)
        }
        if self.skip("string/") { return .string("") }
        for name in ["string", "dateTime.iso8601", "base64"] where self.skip(name) {
            return .string(try self.text(upTo: name))
        }
        if self.skip("array") { return .array(try self.array(depth: depth)) }
        if self.skip("struct/") { return .object([:]) }
        if self.skip("struct") { return .object(try self.object(depth: depth)) }
        // A bare text is a string.
        return .string(try self.untilTag())
    }

    private mutating func array(depth: Int) throws(XMLRPCError) -> [XMLRPCValue] {
        var elements: [XMLRPCValue] = []
        if !self.skip("data/") {
            try self.open("data")
            while !self.isAtClosingTag { elements.append(try self.value(depth: depth + 1)) }
            try self.close("data")
        }
        try self.close("array")
        return elements
    }

    private mutating func object(depth: Int) throws(XMLRPCError) -> [String: XMLRPCValue] {
        var members: [String: XMLRPCValue] = [:]
        while self.skip("member") {
            try self.open("name")
            let name = try self.text(upTo: "name")
            members[name] = try self.value(depth: depth + 1)
            try self.close("member")
        }
        try self.close("struct")
        return members
    }

    // MARK: Text

    private mutating func text(upTo name: String) throws(XMLRPCError) -> String {
        let text = try self.untilTag()
        guard self.take("</\(name)>") else { throw self.error("</\(name)>") }
        return text
    }

    private mutating func untilTag() throws(XMLRPCError) -> String {
        guard let end = self.bytes[self.index...].firstIndex(of: UInt8(ascii: "<")) else {
            throw self.error("a tag")
        }
        defer { self.index = end }
        return XMLText.unescape(self.bytes[self.index..<end])
    }

    private mutating func take(_ text: String) -> Bool {
        guard self.bytes[self.index...].starts(with: text.utf8) else { return false }
        self.index += text.utf8.count
        return true
    }

    private mutating func move(past byte: UInt8) -> Bool {
        guard let end = self.bytes[self.index...].firstIndex(of: byte) else { return false }
        self.index = end + 1
        return true
    }

    private var isAtClosingTag: Bool {
        mutating get {
            self.skipSpace()
            return self.bytes[self.index...].starts(with: "</".utf8)
        }
    }

    private mutating func skipSpace() {
        while self.index < self.bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(self.bytes[self.index]) {
            self.index += 1
        }
    }

    private func error(_ wanted: String) -> XMLRPCError { XMLRPCError(wanted: wanted, offset: self.index) }
}

/// The character references of XML.
private enum XMLText {
    /// What is no reference stays as it is written; what is no UTF-8 becomes U+FFFD.
    static func unescape(_ bytes: ArraySlice<UInt8>) -> String {
        guard bytes.contains(UInt8(ascii: "&")) else { return String(decoding: bytes, as: UTF8.self) }
        var result = ""
        var rest = bytes
        while let mark = rest.firstIndex(of: UInt8(ascii: "&")) {
            result += String(decoding: rest[..<mark], as: UTF8.self)
            let tail = rest[(mark + 1)...]
            // The longest reference is "&#1114111;".
            if let end = tail.prefix(9).firstIndex(of: UInt8(ascii: ";")),
                let character = Self.character(String(decoding: tail[..<end], as: UTF8.self))
            {
                result.unicodeScalars.append(character)
                rest = tail[(end + 1)...]
            } else {
                result += "&"
                rest = tail
            }
        }
        return result + String(decoding: rest, as: UTF8.self)
    }

    private static func character(_ name: String) -> Unicode.Scalar? {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let digits = name.dropFirst()
            let number = digits.first == "x" ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return number.flatMap(Unicode.Scalar.init)
        }
    }
}

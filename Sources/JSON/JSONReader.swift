package import NIOCore

/// Reads one JSON text (RFC 8259) token by token: no tree, no recursion, no trust.
///
/// A value over the caller's bytes, for the time of one closure: `JSONReader.read(buffer) { reader in … }`.
package struct JSONReader {
    /// What stands next in the text.
    package enum Token: Equatable {
        case beginObject, endObject, beginArray, endArray
        /// A key of the open object; its value comes next.
        case key(String)
        case string(String)
        /// The number's characters, checked: an integer or a fraction.
        case integer(Int64)
        /// An integer above `Int64.max`.
        case unsigned(UInt64)
        case double(Double)
        case bool(Bool)
        case null
    }

    package struct Options: Sendable {
        /// How many arrays and objects may be open at once.
        package var depth = 64
        /// Also take `NaN`, `Infinity` and `-Infinity`, which Python writes.
        package var isLenient = false
        package init(depth: Int = 64, isLenient: Bool = false) {
            self.depth = depth
            self.isLenient = isLenient
        }
    }

    private enum State {
        case value, firstKey, key, firstElement, afterValue, end
    }

    private let bytes: UnsafeRawBufferPointer
    private let options: Options
    /// Open containers, innermost last: `true` for an object.
    private var open: [Bool] = []
    private var state = State.value
    /// Where the next byte to look at is.
    package private(set) var offset = 0
    /// Where the last token began.
    package private(set) var tokenOffset = 0

    private init(_ bytes: UnsafeRawBufferPointer, _ options: Options) {
        self.bytes = bytes
        self.options = options
    }

    /// Reads `buffer` with `body`, which must take every token up to `nil`.
    package static func read<Result>(
        _ buffer: ByteBuffer, options: Options = Options(), _ body: (inout JSONReader) throws(JSONError) -> Result
    ) throws(JSONError) -> Result {
        let outcome = buffer.withUnsafeReadableBytes { bytes -> Swift.Result<Result, JSONError> in
            var reader = JSONReader(bytes, options)
            do throws(JSONError) {
                return .success(try body(&reader))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    /// The next token; `nil` once, after the whole text.
    package mutating func next() throws(JSONError) -> Token? {
        self.skipSpace()
        switch self.state {
        case .end:
            guard self.offset == self.bytes.count else { throw self.fault("found more after the end of the value") }
            return nil
        case .afterValue:
            return try self.nextAfterValue()
        case .firstElement:
            if self.peek == UInt8(ascii: "]") { return self.close(.endArray) }
            return try self.value()
        case .value: return try self.value()
        case .firstKey:
            if self.peek == UInt8(ascii: "}") { return self.close(.endObject) }
            return try self.key()
        case .key: return try self.key()
        }
    }

    /// Passes over the value that stands next, whatever it is, and returns where it stood.
    @discardableResult
    package mutating func skipValue() throws(JSONError) -> Range<Int> {
        let depth = self.open.count
        guard try self.next() != nil else { throw self.fault("expected a value") }
        let start = self.tokenOffset
        while self.open.count > depth {
            guard try self.next() != nil else { throw self.fault("expected a value") }
        }
        return start..<self.offset
    }

    // MARK: Structure

    private mutating func nextAfterValue() throws(JSONError) -> Token? {
        guard let isObject = self.open.last else { return nil }
        switch self.peek {
        case UInt8(ascii: ","):
            self.offset &+= 1
            self.skipSpace()
            self.state = isObject ? .key : .value
            return isObject ? try self.key() : try self.value()
        case UInt8(ascii: "}") where isObject: return self.close(.endObject)
        case UInt8(ascii: "]") where !isObject: return self.close(.endArray)
        default: throw self.fault(isObject ? "expected , or }" : "expected , or ]")
        }
    }

    private mutating func close(_ token: Token) -> Token {
        self.tokenOffset = self.offset
        self.offset &+= 1
        self.open.removeLast()
        self.state = self.open.isEmpty ? .end : .afterValue
        return token
    }

    private mutating func key() throws(JSONError) -> Token {
        guard self.peek == UInt8(ascii: "\"") else { throw self.fault("expected a key in quotation marks") }
        self.tokenOffset = self.offset
        let key = try self.string()
        self.skipSpace()
        guard self.peek == UInt8(ascii: ":") else { throw self.fault("expected : after the key") }
        self.offset &+= 1
        self.state = .value
        return .key(key)
    }

    private mutating func value() throws(JSONError) -> Token {
        guard let first = self.peek else { throw self.fault("expected a value, found the end") }
        self.tokenOffset = self.offset
        switch first {
        case UInt8(ascii: "{"): return try self.begin(.beginObject, isObject: true)
        case UInt8(ascii: "["): return try self.begin(.beginArray, isObject: false)
        default: break
        }
        let token: Token
        switch first {
        case UInt8(ascii: "\""): token = .string(try self.string())
        case UInt8(ascii: "t"): token = try self.word("true", .bool(true))
        case UInt8(ascii: "f"): token = try self.word("false", .bool(false))
        case UInt8(ascii: "n"): token = try self.word("null", .null)
        case UInt8(ascii: "N") where self.options.isLenient: token = try self.word("NaN", .double(.nan))
        case UInt8(ascii: "I") where self.options.isLenient: token = try self.word("Infinity", .double(.infinity))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): token = try self.number()
        default: throw self.fault("expected a value")
        }
        self.state = self.open.isEmpty ? .end : .afterValue
        return token
    }

    private mutating func begin(_ token: Token, isObject: Bool) throws(JSONError) -> Token {
        guard self.open.count < self.options.depth else {
            throw self.fault("nested deeper than \(self.options.depth)")
        }
        self.open.append(isObject)
        self.offset &+= 1
        self.state = isObject ? .firstKey : .firstElement
        return token
    }

    // MARK: Values

    private mutating func word(_ word: StaticString, _ token: Token) throws(JSONError) -> Token {
        let end = self.offset &+ word.utf8CodeUnitCount
        guard end <= self.bytes.count,
            self.bytes[self.offset..<end].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
        else { throw self.fault("expected \(word)") }
        self.offset = end
        return token
    }

    private mutating func number() throws(JSONError) -> Token {
        let start = self.offset
        if self.options.isLenient, self.peek == UInt8(ascii: "-"), self.byte(at: self.offset &+ 1) == UInt8(ascii: "I") {
            self.offset &+= 1
            return try self.word("Infinity", .double(-.infinity))
        }
        guard let shape = JSONScan.number(self.bytes, at: &self.offset) else { throw self.fault("expected a digit") }
        let text = String(decoding: self.bytes[start..<self.offset], as: UTF8.self)
        if shape == .integer {
            if let value = Int64(text) { return .integer(value) }
            if let value = UInt64(text) { return .unsigned(value) }
        }
        guard let value = Double(text), value.isFinite else {
            throw JSONError("number is too large", at: start)
        }
        return .double(value)
    }

    private mutating func string() throws(JSONError) -> String {
        let start = self.offset &+ 1
        var end = self.offset
        let shape = try JSONScan.string(self.bytes, at: &end)
        self.offset = end
        let inside = UnsafeRawBufferPointer(rebasing: self.bytes[start..<(end &- 1)])
        guard shape == .escaped else { return String(decoding: inside, as: UTF8.self) }
        return JSONScan.unescape(inside)
    }

    private mutating func skipSpace() { JSONScan.skipSpace(self.bytes, at: &self.offset) }

    private var peek: UInt8? { self.byte(at: self.offset) }

    private func byte(at offset: Int) -> UInt8? { offset < self.bytes.count ? self.bytes[offset] : nil }

    private func fault(_ message: String) -> JSONError { JSONError(message, at: self.offset) }
}

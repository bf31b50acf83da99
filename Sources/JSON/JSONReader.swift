package import NIOCore

/// Reads one JSON text (RFC 8259) piece by piece: no tree, no recursion, no trust.
///
/// A value over the caller's bytes, for the time of one closure: `JSONReader.read(buffer) { reader in … }`. `next` makes
/// strings and numbers of what it finds; `nextPiece` only says where they stand, and allocates nothing.
package struct JSONReader {
    /// What stands next in the text.
    package enum Token: Equatable {
        case beginObject, endObject, beginArray, endArray
        /// A key of the open object; its value comes next.
        case key(String)
        case string(String)
        case integer(Int64)
        /// An integer above `Int64.max`. One that even this cannot hold is a `double`.
        case unsigned(UInt64)
        case double(Double)
        case bool(Bool)
        case null
    }

    package struct Options: Sendable {
        /// How many arrays and objects may be open at once; more than 128 counts as 128.
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

    let bytes: UnsafeRawBufferPointer
    private let depth: Int
    private let isLenient: Bool
    /// Open containers, one bit each, innermost lowest: 1 for an object.
    private var open: UInt128 = 0
    private var state = State.value
    /// How many containers are open.
    package private(set) var level = 0
    /// Where the next byte to look at is.
    package private(set) var offset = 0
    /// Where the last token began.
    package private(set) var tokenOffset = 0

    private init(_ bytes: UnsafeRawBufferPointer, _ options: Options) {
        self.bytes = bytes
        self.depth = min(options.depth, 128)
        self.isLenient = options.isLenient
    }

    /// Reads `buffer` with `body`, which must take every token up to `nil` if the text is to be checked to its end.
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

    /// `read` without a result. On a hot path in another module it is the one to call: a generic that crosses modules
    /// costs more than the scan of a small text.
    package static func scan(
        _ buffer: ByteBuffer, options: Options = Options(), _ body: (inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try Self.read(buffer, options: options, body)
    }

    /// The next token; `nil` once, after the whole text.
    package mutating func next() throws(JSONError) -> Token? {
        switch try self.nextPiece() {
        case nil: return nil
        case .beginObject?: return .beginObject
        case .endObject?: return .endObject
        case .beginArray?: return .beginArray
        case .endArray?: return .endArray
        case .key(let text)?: return .key(self.string(text))
        case .string(let text)?: return .string(self.string(text))
        case .bool(let value)?: return .bool(value)
        case .null?: return .null
        case .number(let number)?:
            switch try self.value(of: number) {
            case .integer(let value): return .integer(value)
            case .unsigned(let value): return .unsigned(value)
            case .double(let value): return .double(value)
            }
        }
    }

    /// The next piece; `nil` once, after the whole text. Everything about it was checked, but nothing was made of it.
    package mutating func nextPiece() throws(JSONError) -> Piece? {
        JSONScan.skipSpace(self.bytes, at: &self.offset)
        self.tokenOffset = self.offset
        guard self.offset < self.bytes.count else {
            guard self.state == .end else { throw self.fault("the text ends too early") }
            return nil
        }
        let byte = self.bytes[self.offset]
        switch self.state {
        case .value: return try self.nextValue(byte)
        case .afterValue: return try self.nextAfterValue(byte)
        case .firstElement:
            return byte == UInt8(ascii: "]") ? self.close(.endArray) : try self.nextValue(byte)
        case .firstKey:
            return byte == UInt8(ascii: "}") ? self.close(.endObject) : try self.nextKey(byte)
        case .key: return try self.nextKey(byte)
        case .end: throw self.fault("found more after the end of the value")
        }
    }

    /// Passes over the value that stands next, whatever it is, and returns where it stood.
    @discardableResult
    package mutating func skipValue() throws(JSONError) -> Range<Int> {
        let level = self.level
        guard try self.nextPiece() != nil else { throw self.fault("expected a value") }
        let start = self.tokenOffset
        while self.level > level {
            guard try self.nextPiece() != nil else { throw self.fault("expected a value") }
        }
        return start..<self.offset
    }

    // MARK: Structure

    private mutating func nextAfterValue(_ byte: UInt8) throws(JSONError) -> Piece {
        let isObject = self.open & 1 == 1
        switch byte {
        case UInt8(ascii: ","):
            self.offset &+= 1
            JSONScan.skipSpace(self.bytes, at: &self.offset)
            self.tokenOffset = self.offset
            guard self.offset < self.bytes.count else { throw self.fault("the text ends too early") }
            let byte = self.bytes[self.offset]
            return isObject ? try self.nextKey(byte) : try self.nextValue(byte)
        case UInt8(ascii: "}") where isObject: return self.close(.endObject)
        case UInt8(ascii: "]") where !isObject: return self.close(.endArray)
        default: throw self.fault(isObject ? "expected , or }" : "expected , or ]")
        }
    }

    /// Called only for a container that is open.
    private mutating func close(_ piece: Piece) -> Piece {
        self.offset &+= 1
        self.open >>= 1
        self.level &-= 1
        self.state = self.level == 0 ? .end : .afterValue
        return piece
    }

    private mutating func nextKey(_ byte: UInt8) throws(JSONError) -> Piece {
        guard byte == UInt8(ascii: "\"") else { throw self.fault("expected a key in quotation marks") }
        let key = try self.text()
        JSONScan.skipSpace(self.bytes, at: &self.offset)
        guard self.offset < self.bytes.count, self.bytes[self.offset] == UInt8(ascii: ":") else {
            throw self.fault("expected : after the key")
        }
        self.offset &+= 1
        self.state = .value
        return .key(key)
    }

    private mutating func nextValue(_ byte: UInt8) throws(JSONError) -> Piece {
        let piece: Piece
        switch byte {
        case UInt8(ascii: "\""): piece = .string(try self.text())
        case UInt8(ascii: "{"): return try self.begin(.beginObject, isObject: 1)
        case UInt8(ascii: "["): return try self.begin(.beginArray, isObject: 0)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): piece = try self.number(byte)
        case UInt8(ascii: "t"): piece = try self.word("true", .bool(true))
        case UInt8(ascii: "f"): piece = try self.word("false", .bool(false))
        case UInt8(ascii: "n"): piece = try self.word("null", .null)
        case UInt8(ascii: "N") where self.isLenient: piece = try self.word("NaN", .number(.special(.nan)))
        case UInt8(ascii: "I") where self.isLenient: piece = try self.word("Infinity", .number(.special(.infinity)))
        default: throw self.fault("expected a value")
        }
        self.state = self.level == 0 ? .end : .afterValue
        return piece
    }

    private mutating func begin(_ piece: Piece, isObject: UInt128) throws(JSONError) -> Piece {
        guard self.level < self.depth else { throw self.fault("nested deeper than \(self.depth)") }
        self.open = self.open << 1 | isObject
        self.level &+= 1
        self.offset &+= 1
        self.state = isObject == 1 ? .firstKey : .firstElement
        return piece
    }

    // MARK: Values

    private mutating func text() throws(JSONError) -> Text {
        let start = self.offset &+ 1
        let shape = try JSONScan.string(self.bytes, at: &self.offset)
        return Text(range: start..<(self.offset &- 1), isEscaped: shape == .escaped)
    }

    private mutating func number(_ first: UInt8) throws(JSONError) -> Piece {
        let start = self.offset
        if self.isLenient, first == UInt8(ascii: "-"), start &+ 1 < self.bytes.count,
            self.bytes[start &+ 1] == UInt8(ascii: "I")
        {
            self.offset &+= 1
            return try self.word("Infinity", .number(.special(-.infinity)))
        }
        guard let shape = JSONScan.number(self.bytes, at: &self.offset) else { throw self.fault("expected a digit") }
        return .number(shape == .integer ? .integer(start..<self.offset) : .fraction(start..<self.offset))
    }

    private mutating func word(_ word: StaticString, _ piece: Piece) throws(JSONError) -> Piece {
        for index in 0..<word.utf8CodeUnitCount {
            guard self.offset &+ index < self.bytes.count,
                self.bytes[self.offset &+ index] == word.utf8Start[index]
            else { throw self.fault("expected \(word)") }
        }
        self.offset &+= word.utf8CodeUnitCount
        return piece
    }

    private func fault(_ message: String) -> JSONError { JSONError(message, at: self.offset) }
}

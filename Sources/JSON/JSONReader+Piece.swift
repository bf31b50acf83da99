extension JSONReader {
    /// What stands next in the text, as a place in it. Good for the reader it came from.
    package enum Piece {
        case beginObject, endObject, beginArray, endArray
        case key(Text)
        case string(Text)
        case number(Number)
        case bool(Bool)
        case null
    }

    /// The inside of a string, without its quotation marks.
    package struct Text {
        let range: Range<Int>
        /// Whether there is a backslash in it.
        package let isEscaped: Bool
        /// Bytes as they stand in the text; unescaped they are never more.
        package var count: Int { self.range.count }
    }

    /// A number's characters, checked but not read.
    package enum Number {
        case integer(Range<Int>)
        case fraction(Range<Int>)
        /// `NaN`, `Infinity` or `-Infinity`, in a lenient text.
        case special(Double)
    }

    /// A number, read.
    package enum NumberValue {
        case integer(Int64)
        case unsigned(UInt64)
        case double(Double)
    }

    package func string(_ text: Text) -> String {
        let inside = self.inside(text)
        return text.isEscaped ? JSONScan.unescape(inside) : String(decoding: inside, as: UTF8.self)
    }

    /// Whether a string says `key`.
    package func matches(_ text: Text, _ key: String) -> Bool {
        text.isEscaped ? self.string(text) == key : self.inside(text).elementsEqual(key.utf8)
    }

    /// - Throws: when the number is beyond what a double holds.
    package func value(of number: Number) throws(JSONError) -> NumberValue {
        let range: Range<Int>
        switch number {
        case .special(let value): return .double(value)
        case .fraction(let place):
            if let value = JSONNumber.shortFraction(self.bytes, place) { return .double(value) }
            range = place
        case .integer(let place):
            if let value = JSONNumber.integer(self.bytes, place) { return value }
            range = place
        }
        let text = String(decoding: UnsafeRawBufferPointer(rebasing: self.bytes[range]), as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw JSONError("the number is beyond what a double holds", at: range.lowerBound)
        }
        return .double(value)
    }

    /// A string's bytes as they stand there, good while the reader is: what it says in UTF-8 unless it is escaped.
    package func inside(_ text: Text) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self.bytes[text.range])
    }
}

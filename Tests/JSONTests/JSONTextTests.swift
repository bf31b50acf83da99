import JSON
import NIOCore
import TestSupport
import Testing

@Suite struct JSONTextTests {
    static let good = [
        "null", "true", "false", "0", "-0", "-1", "10", "1.5", "-0.0", "1e5", "1E+5", "1.25e-300", "\"\"", "\"a\"",
        "[]", "{}",
        "[1,2]", "{\"a\":1}", "{\"a\":{\"b\":[true,null,\"\"]},\"c\":-1}", "[[[[]]]]",
        "\"\\u00e9\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\\\\\"\"",
        "\"h\u{E9} \u{1F600} \u{7FF} \u{800} \u{FFFF} \u{10FFFF} \u{7F}\"", "18446744073709551616", "{\"\":\"\"}",
        "{\"a\":1,\"a\":2}",
        "\"0123456789012345678901234567890123456789\"",
    ]

    @Test(arguments: Self.good) func takesWhatTheStandardAllows(_ text: String) throws {
        #expect(String(buffer: try JSONText(validating: ByteBuffer(string: text)).bytes) == text)
        let spaced = " \t\r\n" + text + "\n "
        #expect(String(buffer: try JSONText(validating: ByteBuffer(string: spaced)).bytes) == text)
    }

    @Test(arguments: [
        ("", 0), (" ", 1), ("nul", 0), ("nulll", 4), ("True", 0), ("01", 1), ("+1", 0), (".5", 0), ("1.", 2), ("1e", 2),
        ("-", 1),
        ("--1", 1), ("0x1", 1), ("NaN", 0), ("Infinity", 0), ("-Infinity", 1), ("\"", 0), ("\"\\\"", 0), ("\"\\x\"", 1),
        ("\"\\u12\"", 1), ("\"\\u12g4\"", 1), ("\"\t\"", 1), ("\"a\nb\"", 2), ("'a'", 0), ("[", 1), ("[1", 2),
        ("[1,", 3), ("[1,]", 3),
        ("[,1]", 1), ("[1 2]", 3), ("]", 0), ("[}", 1), ("{", 1), ("{]", 1), ("{1:2}", 1), ("{\"a\"}", 4),
        ("{\"a\":}", 5), ("{\"a\":1,}", 7),
        ("{\"a\":1 \"b\":2}", 7), ("{\"a\":1]", 6), ("1 2", 2), ("{} {}", 3), ("// c\n1", 0), ("\u{FEFF}1", 0),
        ("[1]]", 3),
        ("\"\\ud83d\"", 1), ("\"\\ude00\"", 1), ("\"\\ud83d\\u0041\"", 1), ("\"\\ud83dx\"", 1),
    ]) func saysWhereTheTextIsWrong(_ text: String, _ offset: Int) {
        let error = #expect(throws: JSONError.self) { try JSONText(validating: ByteBuffer(string: text)) }
        #expect(error?.offset == offset, "\(text): \(error?.description ?? "")")
    }

    @Test(arguments: [
        "ff", "80", "c080", "c1bf", "c2", "c220", "e08080", "e09f80", "e28182f0", "eda080", "edbfbf", "f0808080",
        "f08fbfbf", "f4908080",
        "f5808080", "f09f98", "e282",
    ]) func refusesWhatIsNotUTF8(_ hex: String) {
        var text = ByteBuffer(string: "\"ab")
        var rest = bytes(hex: hex)
        text.writeBuffer(&rest)
        text.writeString("\"")
        let whole = text
        let error = #expect(throws: JSONError.self) { try JSONText(validating: whole) }
        #expect(error?.message == "not UTF-8")
    }

    @Test func refusesAZeroByteAfterTheValue() {
        #expect(throws: JSONError("found more after the end of the value", at: 1)) {
            try JSONText(validating: ByteBuffer(string: "1\u{0}"))
        }
    }

    @Test func boundsTheDepth() throws {
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        _ = try JSONText(validating: ByteBuffer(string: deepest))
        #expect(throws: JSONError("nested deeper than 64", at: 64)) {
            try JSONText(validating: ByteBuffer(string: "[" + deepest + "]"), depth: 1_000_000)
        }
        #expect(throws: JSONError("nested deeper than 1", at: 1)) {
            try JSONText(validating: ByteBuffer(string: "[[]]"), depth: 1)
        }
    }

    @Test func findsWhatStandsUnderAKey() throws {
        let text = try JSONText(
            validating: ByteBuffer(string: #" {"a": [1, {"c": 2}], "\u0063" : "x\ny", "d":null,"e":3,"e":4} "#))
        #expect(text.isObject)
        #expect(text.field("a").map { String(buffer: $0.bytes) } == #"[1, {"c": 2}]"#)
        #expect(text.field("a")?.isArray == true)
        #expect(text.field("c")?.isString == true)
        #expect(text.field("c")?.stringValue == "x\ny")
        #expect(text.field("d")?.isNull == true)
        #expect(
            text.field("e").map { String(buffer: $0.bytes) } == "4", "of a key that appears twice the last one counts")
        #expect(text.field("b") == nil)
        #expect(text.field("a")?.field("c") == nil, "an array has no fields")
        #expect(text.stringValue == nil)
    }

    @Test func saysTheTextOfAString() throws {
        func value(_ text: String) throws -> String? { try JSONText(validating: ByteBuffer(string: text)).stringValue }
        #expect(try value(#""plain""#) == "plain")
        #expect(try value(#""""#) == "")
        #expect(try value(#""\u00e9\ud83d\ude00\/\b\f\n\r\t\\\"\u0000""#) == "é😀/\u{8}\u{c}\n\r\t\\\"\u{0}")
        #expect(try value("1") == nil)
    }

    @Test func readsAPartOfALargerBuffer() throws {
        var buffer = ByteBuffer(string: "xx {\"a\":1}yy")
        buffer.moveReaderIndex(forwardBy: 2)
        let part = buffer.readSlice(length: 8) ?? ByteBuffer()
        let text = try JSONText(validating: part)
        #expect(String(buffer: text.bytes) == "{\"a\":1}")
        #expect(text.field("a").map { String(buffer: $0.bytes) } == "1")
    }
}

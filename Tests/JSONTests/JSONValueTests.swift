import JSON
import NIOCore
import Testing

private func parse(_ text: String, lenient: Bool = false) throws(JSONError) -> JSONValue {
    try JSONValue(parsing: ByteBuffer(string: text), options: .init(isLenient: lenient))
}

@Suite struct JSONValueTests {
    @Test func keepsOrderAndKnowsWhereEverythingStood() throws {
        let text = "{\n  \"b\": [1, true],\n  \"a\": {\"x\": \"é\"}\n}"
        let value = try parse(text)
        let members = try #require(value.object)
        #expect(members.map(\.key) == ["b", "a"])
        #expect(members.map(\.keyOffset) == [4, 22])
        #expect(value["b"]?.offset == 9)
        #expect(value["b"]?.array?.map(\.offset) == [10, 13])
        #expect(value["a"]?["x"]?.string == "é")
        #expect(JSONValue.line(of: members[1].keyOffset, in: ByteBuffer(string: text)) == 3)
        #expect(JSONValue.line(of: -1, in: ByteBuffer(string: text)) == 1)
        #expect(JSONValue.line(of: 1_000, in: ByteBuffer(string: text)) == 4)
    }

    @Test(arguments: [
        ("0", JSONValue.Kind.integer(0)), ("-0", .integer(0)), ("9223372036854775807", .integer(.max)),
        ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .unsigned(9_223_372_036_854_775_808)), ("18446744073709551615", .unsigned(.max)),
        ("18446744073709551616", .double(18_446_744_073_709_551_616)),
        ("-9223372036854775809", .double(-9_223_372_036_854_775_808)),
        ("1.0", .double(1)), ("1e2", .double(100)), ("-0.0", .double(-0.0)),
        ("5e-324", .double(.leastNonzeroMagnitude)),
        ("1.7976931348623157e308", .double(.greatestFiniteMagnitude)), ("1e-999", .double(0)),
    ]) func readsNumbersWithoutLoss(_ text: String, _ kind: JSONValue.Kind) throws {
        let value = try parse(text)
        #expect(value.kind == kind)
        if case .double(let wanted) = kind, case .double(let found) = value.kind { #expect(wanted.sign == found.sign) }
    }

    @Test func refusesANumberThatNoDoubleHolds() {
        #expect(throws: JSONError("the number is beyond what a double holds", at: 1)) { try parse("[1e999]") }
    }

    @Test func takesPythonsNumbersOnlyWhenAsked() throws {
        #expect(try parse("[NaN, Infinity, -Infinity]", lenient: true).array?[1].number == .infinity)
        #expect(try parse("-Infinity", lenient: true).number == -.infinity)
        #expect(try parse("NaN", lenient: true).number?.isNaN == true)
        for text in ["NaN", "Infinity", "-Infinity"] { #expect(throws: JSONError.self) { try parse(text) } }
        for text in ["NaNa", "-Inf", "-NaN", "nan", "I"] {
            #expect(throws: JSONError.self) { try parse(text, lenient: true) }
        }
    }

    @Test func boundsTheDepthWhateverIsAsked() throws {
        func nested(_ depth: Int) -> String {
            (0..<depth).reduce("1") { inner, level in level.isMultiple(of: 2) ? "[\(inner)]" : "{\"a\":\(inner)}" }
        }
        let options = JSONReader.Options(depth: 1_000_000)
        _ = try JSONValue(parsing: ByteBuffer(string: nested(128)), options: options)
        let error = #expect(throws: JSONError.self) {
            try JSONValue(parsing: ByteBuffer(string: nested(129)), options: options)
        }
        #expect(error?.message == "nested deeper than 128")
    }

    @Test func skipsAValueOfAnyShape() throws {
        let text = ByteBuffer(string: #"[ {"a": [1, {"b": 2}]} , "x\"y", 3]"#)
        let ranges = try JSONReader.read(text) { reader throws(JSONError) in
            #expect(try reader.next() == .beginArray)
            return [try reader.skipValue(), try reader.skipValue(), try reader.skipValue()]
        }
        #expect(ranges == [2..<22, 25..<31, 33..<34])
    }
}

@Suite struct JSONWriterTests {
    private func text(_ value: JSONValue, _ style: JSONStyle = .compact) -> String {
        var buffer = ByteBuffer()
        buffer.writeJSON(value, style: style)
        return String(buffer: buffer)
    }

    @Test func writesAsShortAsItCan() throws {
        let text = #"{"a":[1,-2.5,true,false,null,18446744073709551615],"é":{"q":"\"\\\b\f\n\r\t\u0001é😀/"}}"#
        #expect(self.text(try parse(text)) == text)
    }

    @Test func writesAsPythonDoes() throws {
        let text =
            "{\"a\": [1, 2.0, \"h\\u00e9 \\ud83d\\ude00 \\uffff\\u0800\\u07ff \u{7f}\\\"\\\\\\n\\u0000\"], \"b\": {}, \"c\": []}"
        #expect(self.text(try parse(text), .python) == text)
    }

    @Test func neverWritesNaNWhereABrowserReads() {
        let values = JSONValue(.array([.nan, .infinity, -.infinity].map { JSONValue(.double($0)) }))
        #expect(self.text(values) == "[null,null,null]")
        #expect(self.text(values, .python) == "[NaN, Infinity, -Infinity]")
    }

    @Test(arguments: [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (1.5, "1.5"), (-2.25, "-2.25"), (0.1, "0.1"), (100.0, "100.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"), (1.5e16, "1.5e+16"), (123456789012345680.0, "1.2345678901234568e+17"),
        (9007199254740993.0, "9007199254740992.0"),
        (0.0001, "0.0001"), (0.00001, "1e-05"), (0.000012, "1.2e-05"), (.leastNonzeroMagnitude, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (1e22, "1e+22"), (1e100, "1e+100"), (3.14, "3.14"), (12345.678, "12345.678"), (0.001, "0.001"),
        (1e-100, "1e-100"),
    ]) func writesNumbersWithPythonsDigits(_ value: Double, _ text: String) {
        #expect(self.text(JSONValue(.double(value))) == text)
    }

    @Test func writesTheSameStringWhateverItsLength() throws {
        for length in 0..<40 {
            for odd in ["", "\"", "\n", "é", "😀"] {
                let string = String(repeating: "a", count: length) + odd + String(repeating: "b", count: length)
                for style in [JSONStyle.compact, .python] {
                    var buffer = ByteBuffer()
                    buffer.writeJSONString(string, style: style)
                    #expect(try JSONText(validating: buffer).stringValue == string)
                }
            }
        }
    }
}

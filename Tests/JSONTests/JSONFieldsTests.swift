import NIOCore
import Testing

@testable import JSON

@Suite struct JSONFieldsTests {
    private func integer<Value: FixedWidthInteger>(_ number: String, _ type: Value.Type) throws -> Value {
        try JSONFields(ByteBuffer(string: #"{"n":\#(number)}"#), wanted: ["n"]).integer("n", type)
    }

    @Test(arguments: [
        ("5", 5), ("-5", -5), ("0", 0), ("null", 0), ("5.0", 5), ("-612.0", -612), ("5e3", 5_000), ("1.5e1", 15),
        ("9223372036854775807", Int64.max), ("9007199254740992.0", 9_007_199_254_740_992), ("-0.0", 0),
    ]) func aWholeNumberMayBeWrittenInAnyWay(_ written: String, _ number: Int64) throws {
        #expect(try self.integer(written, Int64.self) == number)
    }

    @Test(arguments: [
        "5.5", "1e400", "9223372036854775808", "9007199254740993.5e1", "1e16", #""5""#, #""5.0""#, #""inf""#, #""nan""#,
        "true", "[5]", "{}",
    ]) func whatIsNoneIsNot(_ written: String) {
        #expect(throws: JSONError.self) { try self.integer(written, Int64.self) }
    }

    @Test func itsTypeHasBounds() throws {
        #expect(try self.integer("255.0", UInt8.self) == 255)
        for written in ["256.0", "256", "-1.0", "-1"] {
            #expect(throws: JSONError.self) { try self.integer(written, UInt8.self) }
        }
    }
}

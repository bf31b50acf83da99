import JSON
import NIOCore
import TestSupport
import Testing

@testable import ChannelLayer

@Suite struct JSONFormTests {
    /// The transcoder must say what the tree says.
    private func transcodes(_ json: String) throws -> Bool {
        let text = try JSONText(validating: ByteBuffer(string: json))
        let tree = LayerValue(try JSONValue(parsing: text.bytes))
        return try encoded(["v": .json(text)]) == encoded(["v": tree])
    }

    @Test(arguments: [0, 1, 15, 16, 17, 255, 256, 65_535, 65_536]) func containersOfAnySizeAreTranscoded(
        _ count: Int
    ) throws {
        let elements = (0..<count).map { "\($0)" }.joined(separator: ",")
        #expect(try self.transcodes("[\(elements)]"))
        guard count < 1_000 else { return }
        #expect(try self.transcodes("[[\(elements)],{\"a\":[\(elements)]},1]"))
        let members = (0..<count).map { "\"k\($0)\":[\($0),{}]" }.joined(separator: ",")
        #expect(try self.transcodes("{\(members)}"))
        #expect(try self.transcodes("{\"a\":{\(members)},\"b\":[]}"))
    }

    @Test func manyLargeContainersInEachOtherAreTranscoded() throws {
        var text = "[]"
        for level in 0..<40 {
            let twenty = (0..<20).map { "\($0)" }.joined(separator: ",")
            text = level.isMultiple(of: 2) ? "[\(twenty),\(text)]" : "{\"a\":[\(twenty)],\"b\":\(text)}"
        }
        #expect(try self.transcodes(text))
    }

    @Test(arguments: [
        #""\u00e9\ud83d\ude00\n""#, #"{"\u0061\"":"\\"}"#, "\"\(String(repeating: "\\n", count: 40))\"",
        "\"\(String(repeating: "é", count: 20))\"",
        "-0", "-0.0", "1e2", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "null", "true",
        #"{"a":1,"a":2}"#,
        "[1 , 2\n]",
    ]) func scalarsAreTranscoded(_ json: String) throws {
        #expect(try self.transcodes(json))
    }

    @Test func aNumberThatNoDoubleHoldsIsAnError() throws {
        let text = try JSONText(validating: ByteBuffer(string: #"{"a":[1e999]}"#))
        var buffer = ByteBuffer(string: "before")
        for encode in [LayerMessage.encodeMessagePack, LayerMessage.encodeJSON] {
            let message: LayerMessage = ["data": .json(text)]
            let error = #expect(throws: LayerError.self) { try encode(message)(&buffer) }
            #expect(error?.code == .invalidMessage)
            #expect(
                error?.message == "the JSON text cannot be carried: the number is beyond what a double holds at byte 6")
        }
        #expect(String(buffer: buffer) == "before")
    }

    @Test func pythonsFormIsReadWithItsNumbers() throws {
        let message = try LayerMessage(
            json: ByteBuffer(string: #"{"type": "x", "v": [NaN, Infinity, -Infinity, 1e2]}"#))
        guard case .array(let values)? = message["v"], case .double(let nan)? = values.first else {
            Issue.record("\(message)")
            return
        }
        #expect(nan.isNaN)
        #expect(Array(values.dropFirst()) == [.double(.infinity), .double(-.infinity), .double(100)])
    }

    @Test(arguments: ["", "[]", "1", "{\"a\":1}x", "{\"a\":}", "{'a':1}", "\u{0}"]) func whatIsNoMessageIsAnError(
        _ text: String
    ) {
        #expect(throws: JSONError.self) { try LayerMessage(json: ByteBuffer(string: text)) }
    }

    @Test func jsonTextIsWrittenInPythonsStyle() throws {
        let text = try JSONText(validating: ByteBuffer(string: #"{"a":[1,"é"]}"#))
        var buffer = ByteBuffer()
        try LayerMessage(dictionaryLiteral: ("type", "x"), ("data", .json(text))).encodeJSON(into: &buffer)
        #expect(String(buffer: buffer) == #"{"type": "x", "data": {"a": [1, "\u00e9"]}}"#)
    }
}

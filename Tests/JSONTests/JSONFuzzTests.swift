import JSON
import NIOCore
import TestSupport
import Testing

@Suite struct JSONFuzzTests {
    private static let corpus =
        (JSONTextTests.good + [
            #"{"channel": "news", "data": {"text": "h\u00e9 \ud83d\ude00", "n": [1, -2.5e+10, 18446744073709551615]}}"#,
            #"[{"a":[[[{"b":null}]]]},"\\\"\/",-0.0,1E5,true,false]"#,
            "[NaN, Infinity, -Infinity]", "\"\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}\"", "\"\\ud800\"", "[1e999]",
        ]).map { Array($0.utf8) }

    /// Whatever is taken says the same again after it was written.
    @Test(arguments: [false, true]) func whateverComesInIsReadOrRefused(lenient: Bool) throws {
        var mutator = Mutator(
            corpus: Self.corpus, interesting: Array("{}[]\",:\\ue-+.0123456789tfnNI \u{1}".utf8), seed: lenient ? 2 : 1)
        var taken = 0
        for _ in 0..<4_000 {
            let input = ByteBuffer(bytes: mutator.next())
            let options = JSONReader.Options(isLenient: lenient)
            let style = lenient ? JSONStyle.python : .compact
            guard let value = try? JSONValue(parsing: input, options: options) else { continue }
            taken += 1
            if !lenient { _ = try JSONText(validating: input) }
            var text = ByteBuffer()
            text.writeJSON(value, style: style)
            var again = ByteBuffer()
            again.writeJSON(try JSONValue(parsing: text, options: options), style: style)
            #expect(text == again)
        }
        #expect(taken > 100, "the mutator breaks nearly everything; it tests nothing then")
    }

    /// The scan, the tree and `field` are the same grammar.
    @Test func theScanTakesWhatTheTreeTakes() {
        var mutator = Mutator(corpus: Self.corpus, interesting: Array("{}[]\",:\\".utf8), seed: 3)
        for _ in 0..<4_000 {
            let input = ByteBuffer(bytes: mutator.next())
            let text = try? JSONText(validating: input)
            do throws(JSONError) {
                let value = try JSONValue(parsing: input)
                #expect(text != nil)
                let field = try text?.field("data").map { text throws(JSONError) in try JSONValue(parsing: text.bytes) }
                #expect(field?.kind.text == value["data"]?.kind.text)
            } catch {
                #expect(text == nil || error.message == "the number is beyond what a double holds")
            }
        }
    }
}

extension JSONValue.Kind {
    /// The compact text, which has no offsets in it.
    fileprivate var text: String {
        var buffer = ByteBuffer()
        buffer.writeJSON(JSONValue(self))
        return String(buffer: buffer)
    }
}

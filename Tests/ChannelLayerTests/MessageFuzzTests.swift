import JSON
import NIOCore
import TestSupport
import Testing

@testable import ChannelLayer

@Suite struct MessageFuzzTests {
    private static let corpus: [[UInt8]] =
        SerializerVectors.whole.map { Array(bytes(hex: $0.msgpack_hex).readableBytesView) }
        + SerializerVectors.all.decode.map { Array(bytes(hex: $0.hex).readableBytesView) }
        + ["81a176dfffffffff", "dfffffffff", "81a176c9ffffffff0100", "81a176dc0010"].map {
            Array(bytes(hex: $0).readableBytesView)
        }
        + [[0x81, 0xA1, 0x76] + Array(repeating: 0x91, count: 200)]

    /// Whatever is read can be written again, and then reads the same.
    @Test func whateverComesInIsReadOrRefused() throws {
        let heads =
            Array(UInt8(0xC0)...0xDF) + [0x80, 0x81, 0x8F, 0x90, 0x91, 0x9F, 0xA0, 0xA1, 0xBF, 0x00, 0x7F, 0xE0, 0xFF]
        var mutator = Mutator(corpus: Self.corpus, interesting: heads, seed: 4)
        var taken = 0
        for _ in 0..<8_000 {
            guard let message = try? LayerMessage(messagePack: ByteBuffer(bytes: mutator.next())) else { continue }
            taken += 1
            guard let wire = try? encoded(message) else { continue }
            #expect(try encoded(try LayerMessage(messagePack: wire)) == wire)
        }
        #expect(taken > 200, "the mutator breaks nearly everything; it tests nothing then")
    }

    /// JSON text goes to MessagePack by another way than the tree, and arrives at the same bytes.
    @Test func theTranscoderSaysWhatTheTreeSays() throws {
        let corpus = [
            #"{"a":[1,-2.5,"\u00e9",null,true,{"b":{}}],"c":18446744073709551615}"#,
            "[" + (0..<17).map { "[\($0),{\"k\":[]}]" }.joined(separator: ",") + "]",
            "{" + (0..<17).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}",
        ].map { Array($0.utf8) }
        var mutator = Mutator(corpus: corpus, interesting: Array("{}[]\",:\\u0123456789".utf8), seed: 5)
        var taken = 0
        for _ in 0..<4_000 {
            guard let text = try? JSONText(validating: ByteBuffer(bytes: mutator.next())),
                let tree = try? JSONValue(parsing: text.bytes)
            else { continue }
            taken += 1
            #expect(try encoded(["v": .json(text)]) == encoded(["v": LayerValue(tree)]))
        }
        #expect(taken > 50)
    }
}

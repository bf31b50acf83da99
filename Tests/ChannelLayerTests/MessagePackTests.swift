import JSON
import NIOCore
import TestSupport
import Testing

@testable import ChannelLayer

/// What Python's `msgpack` and `json` wrote and took.
struct SerializerVectors: Decodable {
    struct Encoded: Decodable, CustomTestStringConvertible {
        let value: String
        let length: Int
        let msgpack_hex: String
        let json: String?
        let json_error: String?
        var testDescription: String { self.value }
        /// Long vectors give only the first bytes.
        var isWhole: Bool { !self.msgpack_hex.hasSuffix("...") }
    }
    struct Lossy: Decodable, CustomTestStringConvertible {
        let value: String
        let msgpack_hex: String?
        var testDescription: String { self.value }
    }
    struct Decoded: Decodable, CustomTestStringConvertible {
        let `case`: String
        let hex: String
        let python: String?
        let python_error: String?
        var testDescription: String { self.case }
    }
    struct Old: Decodable {
        let message: String
        let hex: String?
    }

    let encode: [Encoded]
    let rejected_or_lossy: [Lossy]
    let decode: [Decoded]
    let old_writers: [Old]

    static let all = vectors(SerializerVectors.self, "serializers.json")
    static let whole = Self.all.encode.filter(\.isWhole)
}

func encoded(_ message: LayerMessage) throws -> ByteBuffer {
    // Not at the beginning of the buffer, as when commands are collected for a broker.
    var buffer = ByteBuffer(string: "xyz")
    buffer.moveReaderIndex(forwardBy: 1)
    let start = buffer.writerIndex
    try message.encodeMessagePack(into: &buffer)
    return buffer.getSlice(at: start, length: buffer.writerIndex - start) ?? ByteBuffer()
}

private func decoded(_ hex: String) throws -> LayerMessage { try LayerMessage(messagePack: bytes(hex: hex)) }

@Suite struct MessagePackTests {
    // MARK: Vectors

    @Test(arguments: SerializerVectors.whole) func everyVectorGoesBothWays(_ vector: SerializerVectors.Encoded) throws {
        let wire = bytes(hex: vector.msgpack_hex)
        #expect(wire.readableBytes == vector.length)
        let message = try LayerMessage(messagePack: wire)
        #expect(message.type == "x")
        #expect(try encoded(message) == wire)
        if let json = vector.json {
            var text = ByteBuffer()
            try message.encodeJSON(into: &text)
            #expect(String(buffer: text) == json)
            #expect(try encoded(try LayerMessage(json: ByteBuffer(string: json))) == wire)
        } else {
            #expect(vector.json_error != nil)
            #expect(throws: LayerError.self) {
                var text = ByteBuffer()
                try message.encodeJSON(into: &text)
            }
        }
    }

    @Test(arguments: SerializerVectors.whole) func jsonTextIsCarriedAsWhatItSays(_ vector: SerializerVectors.Encoded)
        throws
    {
        guard let json = vector.json, !json.contains("NaN"), !json.contains("Infinity") else { return }
        let whole = try JSONText(validating: ByteBuffer(string: json))
        let value = try #require(whole.field("v"))
        #expect(try encoded(["type": "x", "v": .json(value)]) == bytes(hex: vector.msgpack_hex))
    }

    @Test(arguments: [65_535, 65_536]) func longTextHasAWiderHead(_ count: Int) throws {
        let vector = try #require(SerializerVectors.all.encode.first { $0.value == "str\(count) (head only)" })
        let message: LayerMessage = ["type": "x", "v": .string(String(repeating: "a", count: count))]
        let wire = try encoded(message)
        #expect(wire.readableBytes == vector.length)
        let head = bytes(hex: String(vector.msgpack_hex.dropLast(3)))
        #expect(wire.getSlice(at: wire.readerIndex, length: head.readableBytes) == head)
        #expect(try LayerMessage(messagePack: wire) == message)
    }

    @Test(arguments: SerializerVectors.all.rejected_or_lossy.filter { $0.msgpack_hex != nil })
    func keysThatPythonCannotReadAreReadButNeverWritten(_ vector: SerializerVectors.Lossy) throws {
        let message = try decoded(try #require(vector.msgpack_hex))
        #expect(message.type == "x")
        var buffer = ByteBuffer(string: "before")
        let error = #expect(throws: LayerError.self) { try message.encodeMessagePack(into: &buffer) }
        #expect(error?.code == .invalidMessage)
        #expect(String(buffer: buffer) == "before", "nothing is left of a message that failed")
    }

    @Test(arguments: SerializerVectors.all.decode) func whatPythonTakesIsTaken(_ vector: SerializerVectors.Decoded)
        throws
    {
        if vector.case == "old raw with invalid UTF-8" || vector.case == "top level list" { return }
        #expect(((try? decoded(vector.hex)) != nil) == (vector.python != nil))
    }

    @Test func oddFormsHaveTheirMeaning() throws {
        func value(_ name: String) throws -> LayerValue? {
            let vector = try #require(SerializerVectors.all.decode.first { $0.case.hasPrefix(name) })
            return try decoded(vector.hex)["v"]
        }
        #expect(try value("old raw string") == .string(String(repeating: "a", count: 256)))
        #expect(try value("old raw with invalid") == .bytes(ByteBuffer(bytes: [0xFF, 0xFF])))
        #expect(try value("str8") == "a")
        #expect(try value("float32") == .double(1.5))
        #expect(try value("ext timestamp 32") == .ext(type: -1, bytes(hex: "65000000")))
        #expect(try value("ext type 5") == .ext(type: 5, bytes(hex: "aa")))
        #expect(try value("uint64 above") == .uint(.max))
        #expect(try value("non-minimal int") == .int(1))
        #expect(
            try decoded("82a474797065a178a474797065a179").type == "y", "of a key that appears twice the last one counts"
        )
        #expect(try decoded("81c40474797065a178").type == "x", "a key may come as bytes")
        #expect(throws: MessagePackError("a message is a map", at: 0)) { try decoded("9101") }
    }

    @Test func messagesOfOldWritersAreRead() throws {
        let hex = SerializerVectors.all.old_writers.compactMap(\.hex)
        #expect(hex.count == 2)
        #expect(try decoded(hex[0])["v"] == .string(String(repeating: "a", count: 40)))
        #expect(try decoded(hex[1])["v"] == .bytes(ByteBuffer(bytes: [0, 0xFF])))
    }

    // MARK: Forms the vectors have not

    @Test(arguments: [
        ("d0ff", LayerValue.int(-1)), ("d1ffff", .int(-1)), ("d2ffffffff", .int(-1)), ("d3ffffffffffffffff", .int(-1)),
        ("cc01", .int(1)),
        ("ce00000001", .int(1)), ("cf0000000000000001", .int(1)), ("d90161", "a"), ("da000161", "a"),
        ("db0000000161", "a"),
        ("c40161", .bytes(ByteBuffer(string: "a"))), ("c5000161", .bytes(ByteBuffer(string: "a"))),
        ("c60000000161", .bytes(ByteBuffer(string: "a"))), ("dc0001c0", .array([.null])),
        ("dd00000001c0", .array([.null])),
        ("de0001c0c3", .map([.init(key: .null, value: .bool(true))])),
        ("df0000000101c2", .map([.init(key: .int(1), value: .bool(false))])),
        ("d401aa", .ext(type: 1, bytes(hex: "aa"))), ("d5fe0102", .ext(type: -2, bytes(hex: "0102"))),
        ("d7ff0000000000000001", .ext(type: -1, bytes(hex: "0000000000000001"))),
        ("c70005", .ext(type: 5, ByteBuffer())),
        ("c8000105aa", .ext(type: 5, bytes(hex: "aa"))), ("c90000000105aa", .ext(type: 5, bytes(hex: "aa"))),
        ("ca7f800000", .double(.infinity)),
    ]) func everyWidthIsRead(_ hex: String, _ value: LayerValue) throws {
        #expect(try decoded("81a176" + hex)["v"] == value)
    }

    @Test func extensionsAreWrittenInTheirShortestForm() throws {
        for count in [0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65_536] {
            let message: LayerMessage = ["v": .ext(type: -5, ByteBuffer(repeating: 7, count: count))]
            let wire = try encoded(message)
            let head = [1, 2, 4, 8, 16].contains(count) ? 2 : count < 256 ? 3 : count < 65_536 ? 4 : 6
            #expect(wire.readableBytes == 3 + head + count)
            #expect(try LayerMessage(messagePack: wire) == message)
        }
    }

    // MARK: Bad input

    @Test(arguments: [
        ("", 0), ("82a474797065a178", 8), ("81a176", 3), ("81a176d9", 4), ("81a176d905616161", 5), ("81a176c4ff00", 5),
        ("81a176cf00", 4),
        ("81a176c1", 3), ("81a17600ff", 4), ("81a176dfffffffff", 8), ("81a176ddffffffff00", 8),
        ("81a176dbffffffff00", 8), ("81a176c6ffffffff00", 8),
        ("81a176c9ffffffff0100", 9), ("dfffffffff", 5), ("81a176c7", 4), ("8fa176", 1), ("81a176df7fffffffa1", 8),
    ]) func brokenBytesAreAnErrorWithAPlace(_ hex: String, _ offset: Int) {
        let error = #expect(throws: MessagePackError.self) { try decoded(hex) }
        #expect(error?.offset == offset, "\(error?.description ?? "")")
    }

    @Test(arguments: ["8101a178", "81c0a178", "81c402ffffa178", "81a2ffff01", "819101a178"]) func keysOfAMessageAreText(
        _ hex: String
    ) {
        #expect(throws: MessagePackError("a key of the message is not text", at: 1)) { try decoded(hex) }
    }

    @Test func depthSizeAndCountAreBounded() throws {
        func nested(_ depth: Int) -> String { "81a176" + String(repeating: "91", count: depth - 2) + "90" }
        _ = try decoded(nested(128))
        #expect(throws: MessagePackError("nested deeper than 128", at: 131)) { try decoded(nested(129)) }
        #expect(throws: MessagePackError.self) {
            try LayerMessage(messagePack: bytes(hex: nested(129)), limits: .init(depth: 1_000_000))
        }
        #expect(throws: MessagePackError("4 bytes, at most 3", at: 0)) {
            try LayerMessage(messagePack: bytes(hex: "81a17600"), limits: .init(bytes: 3))
        }
        let four = bytes(hex: "81a176920000")
        _ = try LayerMessage(messagePack: four, limits: .init(values: 4))
        #expect(throws: MessagePackError("more than 3 values", at: 4)) {
            try LayerMessage(messagePack: four, limits: .init(values: 3))
        }
        #expect(MemoryLayout<LayerValue>.stride <= 32, "the doc comment of MessagePackLimits.values says so")
    }

    @Test func whatIsTooDeepIsNotSent() throws {
        func nested(_ depth: Int) -> LayerMessage {
            ["v": (2..<depth).reduce(LayerValue.array([])) { inner, _ in .array([inner]) }]
        }
        _ = try LayerMessage(messagePack: try encoded(nested(128)))
        for message in [nested(129), nested(10_000)] {
            var buffer = ByteBuffer()
            #expect(throws: LayerError.self) { try message.encodeMessagePack(into: &buffer) }
            #expect(throws: LayerError.self) { try message.encodeJSON(into: &buffer) }
            #expect(buffer.readableBytes == 0)
        }
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        let text = try JSONText(validating: ByteBuffer(string: deepest))
        let message: LayerMessage = ["type": "carillon.publication", "data": .json(text)]
        _ = try LayerMessage(messagePack: try encoded(message))
        var json = ByteBuffer()
        try message.encodeJSON(into: &json)
        _ = try LayerMessage(json: json)
    }
}

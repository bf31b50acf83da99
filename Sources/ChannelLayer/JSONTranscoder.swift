import JSON
import NIOCore

/// Writes JSON text as the MessagePack values it says, in one pass and without a tree.
///
/// MessagePack wants the number of elements before the elements. One byte is left for it, which is enough up to 15; a
/// larger container is moved up by the two or four bytes that its longer head needs, when its end is known.
struct JSONTranscoder {
    /// An array or object that is open.
    private struct Container {
        /// Where its head stands in the sink.
        let head: Int
        let isObject: Bool
        var count = 0
    }

    private var open: [Container] = []

    /// - Throws: `invalidMessage` when a number is beyond what a double holds.
    static func write(_ text: JSONText, to writer: inout MessagePackWriter) throws(LayerError) {
        do throws(JSONError) {
            try JSONReader.scan(text.bytes) { reader throws(JSONError) in
                var transcoder = JSONTranscoder()
                while let piece = try reader.nextPiece() { try transcoder.write(piece, reader, to: &writer) }
            }
        } catch {
            throw LayerError(.invalidMessage, "the JSON text cannot be carried: \(error)")
        }
    }

    private mutating func write(
        _ piece: JSONReader.Piece, _ reader: borrowing JSONReader, to writer: inout MessagePackWriter
    ) throws(JSONError) {
        switch piece {
        case .endArray, .endObject: return self.close(&writer.sink)
        case .key: self.countOne(isKey: true)
        default: self.countOne(isKey: false)
        }
        switch piece {
        case .key(let text), .string(let text): try Self.write(text, reader, to: &writer)
        case .number(let number):
            switch try reader.value(of: number) {
            case .integer(let value): writer.write(value)
            case .unsigned(let value): writer.write(value)
            case .double(let value): writer.write(value)
            }
        case .bool(let value): writer.write(value)
        case .null: writer.sink.put(0xC0)
        case .beginArray, .beginObject, .endArray, .endObject: self.begin(&writer.sink, piece)
        }
    }

    private static func write(
        _ text: JSONReader.Text, _ reader: borrowing JSONReader, to writer: inout MessagePackWriter
    ) throws(JSONError) {
        do throws(LayerError) {
            if text.isEscaped {
                try writer.write(reader.string(text))
            } else {
                try writer.write(text: reader.inside(text))
            }
        } catch {
            throw JSONError(error.message, at: reader.tokenOffset)
        }
    }

    private mutating func countOne(isKey: Bool) {
        guard let last = self.open.indices.last, self.open[last].isObject == isKey else { return }
        self.open[last].count &+= 1
    }

    private mutating func begin(_ sink: inout MessagePackSink, _ piece: JSONReader.Piece) {
        let isObject = if case .beginObject = piece { true } else { false }
        self.open.append(Container(head: sink.count, isObject: isObject))
        sink.put(0)
    }

    private mutating func close(_ sink: inout MessagePackSink) {
        guard let container = self.open.popLast() else { return }
        let count = container.count
        guard count >= 16 else {
            return sink.set((container.isObject ? 0x80 : 0x90) | UInt8(count), at: container.head)
        }
        let code: UInt8 = container.isObject ? 0xDE : 0xDC
        if let small = UInt16(exactly: count) {
            sink.insert(2, after: container.head)
            sink.set(code, at: container.head)
            sink.set(small, at: container.head + 1)
        } else {
            // A buffer holds less than 2^32 bytes, and so many elements.
            sink.insert(4, after: container.head)
            sink.set(code &+ 1, at: container.head)
            sink.set(UInt32(truncatingIfNeeded: count), at: container.head + 1)
        }
    }
}

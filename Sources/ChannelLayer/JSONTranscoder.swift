import JSON
import NIOCore

/// Writes JSON text as the MessagePack values it says, in one pass and without a tree.
///
/// MessagePack wants the number of elements before the elements. One byte is left for it, which is enough up to 15; a
/// larger container is moved up by the two or four bytes that its longer head needs, when its end is known.
struct JSONTranscoder {
    /// An array or object that is open.
    private struct Container {
        /// Where its head stands in the buffer.
        let head: Int
        let isObject: Bool
        var count = 0
    }

    private var open: [Container] = []

    /// - Throws: `invalidMessage` when a number is beyond what a double holds.
    static func write(_ text: JSONText, into buffer: inout ByteBuffer) throws(LayerError) {
        do throws(JSONError) {
            try JSONReader.read(text.bytes) { reader throws(JSONError) in
                var transcoder = JSONTranscoder()
                while let piece = try reader.nextPiece() { try transcoder.write(piece, reader, into: &buffer) }
            }
        } catch {
            throw LayerError(.invalidMessage, "the JSON text cannot be carried: \(error)")
        }
    }

    private mutating func write(
        _ piece: JSONReader.Piece, _ reader: JSONReader, into buffer: inout ByteBuffer
    ) throws(JSONError) {
        switch piece {
        case .endArray, .endObject:
            self.close(&buffer)
            return
        case .key(let text):
            self.countOne(isKey: true)
            try self.write(text, reader, into: &buffer)
            return
        default: self.countOne(isKey: false)
        }
        switch piece {
        case .beginArray: self.begin(&buffer, isObject: false)
        case .beginObject: self.begin(&buffer, isObject: true)
        case .string(let text): try self.write(text, reader, into: &buffer)
        case .number(let number): Self.write(try reader.value(of: number), into: &buffer)
        case .bool(let value): buffer.writeInteger(UInt8(value ? 0xC3 : 0xC2))
        case .null: buffer.writeInteger(UInt8(0xC0))
        case .key, .endArray, .endObject: break
        }
    }

    private mutating func countOne(isKey: Bool) {
        guard let last = self.open.indices.last, self.open[last].isObject == isKey else { return }
        self.open[last].count &+= 1
    }

    private mutating func begin(_ buffer: inout ByteBuffer, isObject: Bool) {
        self.open.append(Container(head: buffer.writerIndex, isObject: isObject))
        buffer.writeInteger(UInt8(0))
    }

    private mutating func close(_ buffer: inout ByteBuffer) {
        guard let container = self.open.popLast() else { return }
        let count = container.count
        if count < 16 {
            buffer.setInteger((container.isObject ? 0x80 : 0x90) | UInt8(count), at: container.head)
            return
        }
        let code: UInt8 = container.isObject ? 0xDE : 0xDC
        if let small = UInt16(exactly: count) {
            Self.insert(2, after: container.head, in: &buffer)
            buffer.setInteger(code, at: container.head)
            buffer.setInteger(small, at: container.head + 1)
        } else {
            // A buffer holds less than 2^32 bytes, and so many elements.
            Self.insert(4, after: container.head, in: &buffer)
            buffer.setInteger(code &+ 1, at: container.head)
            buffer.setInteger(UInt32(truncatingIfNeeded: count), at: container.head + 1)
        }
    }

    /// Moves everything after the byte at `head` up.
    private static func insert(_ count: Int, after head: Int, in buffer: inout ByteBuffer) {
        let start = head + 1 - buffer.readerIndex
        let end = buffer.readableBytes
        buffer.writeRepeatingByte(0, count: count)
        buffer.withUnsafeMutableReadableBytes { bytes in
            UnsafeMutableRawBufferPointer(rebasing: bytes[(start + count)..<(end + count)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        }
    }

    private func write(
        _ text: JSONReader.Text, _ reader: JSONReader, into buffer: inout ByteBuffer
    ) throws(JSONError) {
        do throws(LayerError) {
            guard !text.isEscaped else { return try MessagePackWriter.write(reader.string(text), into: &buffer) }
            try MessagePackWriter.writeTextHead(text.count, into: &buffer)
        } catch {
            throw JSONError(error.message, at: reader.tokenOffset)
        }
        reader.write(text, into: &buffer)
    }

    private static func write(_ number: JSONReader.NumberValue, into buffer: inout ByteBuffer) {
        switch number {
        case .integer(let value): MessagePackWriter.write(value, into: &buffer)
        case .unsigned(let value): MessagePackWriter.write(value, into: &buffer)
        case .double(let value): buffer.writeMultipleIntegers(UInt8(0xCB), value.bitPattern)
        }
    }
}

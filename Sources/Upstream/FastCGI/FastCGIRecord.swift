package import NIOCore

/// The records of FastCGI, version 1: what goes to an application.
package enum FastCGI {
    /// The only request on its connection.
    static let requestID: UInt16 = 1
    /// A record's content; a multiple of eight, so that the next record begins at one as well.
    static let contentBytes = 65_528
    static let headerBytes = 8

    package enum RecordType: UInt8 {
        case beginRequest = 1
        case abortRequest = 2
        case endRequest = 3
        case params = 4
        case stdin = 5
        case stdout = 6
        case stderr = 7
    }
}

extension ByteBuffer {
    /// Appends the begin of a request in the role of a responder.
    ///
    /// - Parameter keepsConnection: asks the application to leave the connection open after its answer.
    package mutating func writeFastCGIBegin(keepsConnection: Bool) {
        self.writeRecordHeader(.beginRequest, length: 8, padding: 0)
        self.writeMultipleIntegers(UInt16(1), UInt8(keepsConnection ? 1 : 0))
        self.writeRepeatingByte(0, count: 5)
    }

    /// Appends a whole stream of parameters, and its end.
    package mutating func writeFastCGIParameters(_ pairs: ByteBuffer) {
        self.writeStream(.params, pairs)
        self.writeRecordHeader(.params, length: 0, padding: 0)
    }

    /// Appends bytes of a request's body.
    package mutating func writeFastCGIInput(_ bytes: ByteBuffer) { self.writeStream(.stdin, bytes) }

    /// Appends the end of a request's body, which also one without a body has.
    package mutating func writeFastCGIInputEnd() { self.writeRecordHeader(.stdin, length: 0, padding: 0) }

    /// Appends one parameter: lengths below 128 in one byte, others in four with the highest bit set.
    package mutating func writeFastCGIPair(_ name: some Collection<UInt8>, _ value: some Collection<UInt8>) {
        for length in [name.count, value.count] {
            if length < 128 {
                self.writeInteger(UInt8(length))
            } else {
                self.writeInteger(UInt32(truncatingIfNeeded: length) | 0x8000_0000)
            }
        }
        self.writeBytes(name)
        self.writeBytes(value)
    }

    private mutating func writeStream(_ type: FastCGI.RecordType, _ bytes: ByteBuffer) {
        var bytes = bytes
        while let piece = bytes.readSlice(length: min(bytes.readableBytes, FastCGI.contentBytes)),
            piece.readableBytes > 0
        {
            let padding = (8 - piece.readableBytes % 8) % 8
            self.writeRecordHeader(type, length: piece.readableBytes, padding: padding)
            self.writeImmutableBuffer(piece)
            self.writeRepeatingByte(0, count: padding)
        }
    }

    private mutating func writeRecordHeader(_ type: FastCGI.RecordType, length: Int, padding: Int) {
        self.writeMultipleIntegers(
            UInt8(1), type.rawValue, FastCGI.requestID, UInt16(truncatingIfNeeded: length), UInt8(padding), UInt8(0))
    }
}

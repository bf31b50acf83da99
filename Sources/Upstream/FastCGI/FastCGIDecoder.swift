import HTTP1
import NIOCore

/// What comes from a FastCGI application: bytes in, pieces of its streams out, as they come. A value without I/O.
struct FastCGIDecoder {
    enum Part: Equatable {
        /// Never empty.
        case output(ByteBuffer)
        /// For the log; never empty.
        case error(ByteBuffer)
        /// The request is over.
        case end(FastCGIEnd)
    }

    private enum State {
        case header
        /// The content's type, and its bytes and those after it that are still to come.
        case content(FastCGI.RecordType?, left: Int, padding: Int)
        /// The fixed content of the record that ends a request.
        case end(length: Int, padding: Int)
        case padding(Int)
    }

    private var state = State.header

    /// The next piece; `nil` when more bytes are needed.
    ///
    /// - Throws: `badFraming` for another version of the protocol, or a record that is too short. Records of other requests
    ///   and of types that mean nothing here are passed over.
    mutating func next(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Part? {
        while true {
            switch self.state {
            case .header:
                guard try self.readHeader(&buffer) else { return nil }
            case .padding(let left):
                let count = min(left, buffer.readableBytes)
                buffer.moveReaderIndex(forwardBy: count)
                guard count == left else {
                    self.state = .padding(left - count)
                    return nil
                }
                self.state = .header
            case .content(_, left: 0, let padding): self.state = .padding(padding)
            case .content(let type, let left, let padding):
                guard buffer.readableBytes > 0, let piece = buffer.readSlice(length: min(left, buffer.readableBytes))
                else { return nil }
                self.state = .content(type, left: left - piece.readableBytes, padding: padding)
                if type == .stdout { return .output(piece) }
                if type == .stderr { return .error(piece) }
            case .end(let length, let padding):
                guard buffer.readableBytes >= length, var content = buffer.readSlice(length: length) else { return nil }
                self.state = .padding(padding)
                guard let status: UInt32 = content.readInteger(), let outcome: UInt8 = content.readInteger() else {
                    throw Self.fault("The record that ends a request is too short.")
                }
                return .end(FastCGIEnd(applicationStatus: status, outcome: outcome))
            }
        }
    }

    /// Whether nothing of a record has come.
    var isBetweenRecords: Bool {
        switch self.state {
        case .header, .padding(0): true
        default: false
        }
    }

    private mutating func readHeader(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Bool {
        guard buffer.readableBytes >= FastCGI.headerBytes,
            let (version, type, id, length, padding, _) = buffer.readMultipleIntegers(
                as: (UInt8, UInt8, UInt16, UInt16, UInt8, UInt8).self)
        else { return false }
        guard version == 1 else { throw Self.fault("What came is no FastCGI of version 1.") }
        let known = id == FastCGI.requestID ? FastCGI.RecordType(rawValue: type) : nil
        if known == .endRequest {
            guard length >= 8 else { throw Self.fault("The record that ends a request is too short.") }
            self.state = .end(length: Int(length), padding: Int(padding))
        } else {
            self.state = .content(known, left: Int(length), padding: Int(padding))
        }
        return true
    }

    private static func fault(_ message: String) -> HTTP1Error { HTTP1Error(.badFraming, status: 502, message) }
}

/// How an application ended a request.
struct FastCGIEnd: Equatable {
    /// What the application's process would have ended with; 0 as a rule.
    var applicationStatus: UInt32
    /// 0: it was answered; 1: it takes one request at a time; 2: it is overloaded; 3: it is no responder.
    var outcome: UInt8
}

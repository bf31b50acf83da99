package import NIOCore

/// Bytes in, whole messages and control frames out (RFC 6455 section 5). A value without I/O or clock.
///
/// Everything is judged as early as it can be: a frame's head before its payload, a text's UTF-8 byte by byte as it
/// arrives, a message's size before room is made for it. The first error is the last thing that is said.
package struct WebSocketParser: Sendable {
    /// Which side of the connection reads: browsers mask what they send, servers must not.
    package enum Role: Sendable { case server, client }

    package enum Event: Sendable, Equatable {
        case text(ByteBuffer)
        case binary(ByteBuffer)
        /// To be answered by a pong with the same payload.
        case ping(ByteBuffer)
        case pong(ByteBuffer)
        /// To be answered by a close frame. `noStatus` when the peer gave no code.
        case close(CloseCode, reason: String)
    }

    /// Why the connection must be closed, with the code to say so.
    package struct Failure: Error, Equatable {
        package let code: CloseCode
        package let reason: String
    }

    struct Head {
        var opcode: WebSocketOpcode
        var isFinal: Bool
        var mask: MaskingKey?
        var length: Int
        var received = 0
    }

    /// A message whose last fragment has not come, or whose first frame is still being read.
    struct Message {
        var isText: Bool
        var isCompressed: Bool
        var payload = ByteBuffer()
        var text = UTF8Validator()
        var emptyFragments = 0
    }

    /// Fragments without a byte that one message may have: they cost work, and no other limit would end them.
    package static let emptyFragmentLimit = 1_000

    private let role: Role
    private let messageLimit: Int
    /// Inflates compressed messages; `nil` when compression was not agreed on.
    private let inflater: Inflater?
    // Not private, so that `WebSocketParser+Snapshot` can say where the parser stands.
    var head: Head?
    var message: Message?
    var control = ByteBuffer()

    /// - Parameters:
    ///   - messageLimit: bytes of one message, after inflating.
    ///   - inflater: what inflates, when permessage-deflate was agreed on.
    package init(role: Role = .server, messageLimit: Int, inflater: Inflater? = nil) {
        self.role = role
        self.messageLimit = messageLimit
        self.inflater = inflater
    }

    /// The next event in `input`; `nil` when more bytes are needed. What was understood is consumed.
    package mutating func next(_ input: inout ByteBuffer) throws(Failure) -> Event? {
        while true {
            guard var head = self.head else {
                guard let head = try self.readHead(&input) else { return nil }
                self.head = head
                continue
            }
            let count = min(head.length &- head.received, input.readableBytes)
            if head.opcode.isControl {
                self.control.writeUnmasked(&input, length: count, mask: head.mask, phase: head.received)
            } else {
                try self.append(&input, length: count, of: head)
            }
            head.received &+= count
            let isWhole = head.received == head.length
            self.head = isWhole ? nil : head
            if isWhole {
                if head.opcode.isControl { return try self.takeControl(head.opcode) }
                if head.isFinal { return try self.takeMessage() }
            }
            if !isWhole { return nil }
        }
    }

    // MARK: Heads

    private mutating func readHead(_ input: inout ByteBuffer) throws(Failure) -> Head? {
        let start = input.readerIndex
        guard let first = input.getInteger(at: start, as: UInt8.self),
            let second = input.getInteger(at: start &+ 1, as: UInt8.self)
        else { return nil }
        let opcode = try self.checkedOpcode(first: first)
        let isMasked = second & 0x80 != 0
        guard isMasked == (self.role == .server) else {
            throw Failure(code: .protocolError, reason: isMasked ? "masked frame from a server" : "frame is not masked")
        }
        var index = start &+ 2
        var length = Int(second & 0x7F)
        if length == 126 {
            guard let long = input.getInteger(at: index, as: UInt16.self) else { return nil }
            index &+= 2
            length = Int(long)
            guard length > 125 else { throw Failure(code: .protocolError, reason: "length not in its shortest form") }
        } else if length == 127 {
            guard let long = input.getInteger(at: index, as: UInt64.self) else { return nil }
            index &+= 8
            guard long > 0xFFFF, long <= UInt64(Int64.max) else {
                throw Failure(code: .protocolError, reason: "length not in its shortest form, or above 2^63")
            }
            length = Int(long)
        }
        try self.checkLength(length, of: opcode, first: first)
        var mask: MaskingKey?
        if isMasked {
            guard let bytes = input.getMultipleIntegers(at: index, as: (UInt8, UInt8, UInt8, UInt8).self) else {
                return nil
            }
            index &+= 4
            mask = MaskingKey(bytes)
        }
        input.moveReaderIndex(to: index)
        self.begin(opcode, first: first)
        if length == 0, !opcode.isControl { try self.countEmptyFragment() }
        return Head(opcode: opcode, isFinal: first & 0x80 != 0, mask: mask, length: length)
    }

    private func checkedOpcode(first: UInt8) throws(Failure) -> WebSocketOpcode {
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else {
            throw Failure(code: .protocolError, reason: "reserved opcode")
        }
        let isCompressed = first & 0x40 != 0
        guard first & 0x30 == 0, !isCompressed || (self.inflater != nil && (opcode == .text || opcode == .binary))
        else { throw Failure(code: .protocolError, reason: "reserved bit") }
        switch opcode {
        case .continuation:
            guard self.message != nil else { throw Failure(code: .protocolError, reason: "nothing to continue") }
        case .text, .binary:
            guard self.message == nil else {
                throw Failure(code: .protocolError, reason: "new message inside a fragmented one")
            }
        case .close, .ping, .pong:
            guard first & 0x80 != 0 else { throw Failure(code: .protocolError, reason: "fragmented control frame") }
        }
        return opcode
    }

    private func checkLength(_ length: Int, of opcode: WebSocketOpcode, first: UInt8) throws(Failure) {
        if opcode.isControl {
            guard length <= 125 else { throw Failure(code: .protocolError, reason: "control frame over 125 bytes") }
        } else {
            let before = self.message?.payload.readableBytes ?? 0
            let isCompressed = self.message?.isCompressed ?? (first & 0x40 != 0)
            // Deflating makes a little longer what cannot be compressed; the limit is for what comes out.
            let limit = isCompressed ? self.messageLimit &+ self.messageLimit >> 8 &+ 64 : self.messageLimit
            guard length <= limit, before <= limit &- length else {
                throw Failure(code: .messageTooBig, reason: "message over \(self.messageLimit) bytes")
            }
        }
    }

    private mutating func begin(_ opcode: WebSocketOpcode, first: UInt8) {
        guard opcode == .text || opcode == .binary else { return }
        self.message = Message(isText: opcode == .text, isCompressed: first & 0x40 != 0)
    }

    private mutating func countEmptyFragment() throws(Failure) {
        let count = (self.message?.emptyFragments ?? 0) &+ 1
        self.message?.emptyFragments = count
        guard count <= Self.emptyFragmentLimit else {
            throw Failure(code: .policyViolation, reason: "more than \(Self.emptyFragmentLimit) empty fragments")
        }
    }

    // MARK: Payloads

    /// Appends what has come of a frame's payload, unmasked on the way: one copy, and `input` stays shared with nobody.
    private mutating func append(_ input: inout ByteBuffer, length: Int, of head: Head) throws(Failure) {
        guard length > 0, var message = self.message else { return }
        // Taken out so that its buffer is not shared and need not be copied to be appended to.
        self.message = nil
        let start = message.payload.writerIndex
        message.payload.writeUnmasked(&input, length: length, mask: head.mask, phase: head.received)
        if message.isText, !message.isCompressed {
            let isText = message.payload.withUnsafeReadableBytes {
                message.text.accept(UnsafeRawBufferPointer(rebasing: $0[start...]))
            }
            guard isText else { throw Failure(code: .invalidPayload, reason: "text is not UTF-8") }
        }
        self.message = message
    }

    private mutating func takeMessage() throws(Failure) -> Event? {
        guard var message = self.message else { return nil }
        self.message = nil
        if message.isCompressed, let inflater = self.inflater {
            switch inflater.inflate(message.payload, limit: self.messageLimit) {
            case .bytes(let bytes): message.payload = bytes
            case .tooBig:
                throw Failure(code: .messageTooBig, reason: "message inflates to over \(self.messageLimit) bytes")
            case .invalid:
                throw Failure(code: .invalidPayload, reason: "message does not inflate")
            }
            if message.isText {
                guard message.payload.withUnsafeReadableBytes({ message.text.accept($0) }) else {
                    throw Failure(code: .invalidPayload, reason: "text is not UTF-8")
                }
            }
        }
        guard message.isText else { return .binary(message.payload) }
        guard message.text.isComplete else {
            throw Failure(code: .invalidPayload, reason: "text ends inside a character")
        }
        return .text(message.payload)
    }

    private mutating func takeControl(_ opcode: WebSocketOpcode) throws(Failure) -> Event {
        let payload = self.control
        self.control = ByteBuffer()
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default: return try Self.closeEvent(payload)
        }
    }

    private static func closeEvent(_ payload: ByteBuffer) throws(Failure) -> Event {
        var payload = payload
        guard payload.readableBytes > 0 else { return .close(.noStatus, reason: "") }
        guard let raw = payload.readInteger(as: UInt16.self) else {
            throw Failure(code: .protocolError, reason: "close code of one byte")
        }
        let code = CloseCode(rawValue: raw)
        guard code.mayStandInFrame else { throw Failure(code: .protocolError, reason: "close code \(raw)") }
        var text = UTF8Validator()
        guard payload.withUnsafeReadableBytes({ text.accept($0) }), text.isComplete else {
            throw Failure(code: .invalidPayload, reason: "close reason is not UTF-8")
        }
        return .close(code, reason: String(buffer: payload))
    }
}

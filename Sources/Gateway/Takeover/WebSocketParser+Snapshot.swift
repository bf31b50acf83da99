import NIOCore

extension WebSocketParser {
    /// Where a parser stands: the frame it is in, and the message that frame belongs to.
    package struct Snapshot: Equatable, Sendable {
        package struct Frame: Equatable, Sendable {
            var opcode: WebSocketOpcode
            var isFinal: Bool
            var mask: UInt32?
            var length: Int
            var received: Int
        }

        package struct Fragments: Equatable, Sendable {
            var isText: Bool
            var isCompressed: Bool
            var emptyFragments: Int
            var payload: ByteBuffer
        }

        var frame: Frame?
        var message: Fragments?
        /// What has come of a control frame.
        var control: ByteBuffer
    }

    package var snapshot: Snapshot {
        Snapshot(
            frame: self.head.map {
                Snapshot.Frame(
                    opcode: $0.opcode, isFinal: $0.isFinal, mask: $0.mask?.word, length: $0.length,
                    received: $0.received
                )
            },
            message: self.message.map {
                Snapshot.Fragments(
                    isText: $0.isText, isCompressed: $0.isCompressed, emptyFragments: $0.emptyFragments,
                    payload: $0.payload)
            }, control: self.control)
    }

    /// Goes on where another parser stood. Of a text the validity is found out again.
    ///
    /// - Throws: for a state in which no parser can be.
    package mutating func restore(_ snapshot: Snapshot) throws(SnapshotError) {
        if let frame = snapshot.frame {
            guard (0...Int(Int32.max)).contains(frame.length), (0...frame.length).contains(frame.received),
                frame.opcode.isControl || snapshot.message != nil, !frame.opcode.isControl || frame.length <= 125
            else { throw SnapshotError("its frame cannot be") }
            self.head = Head(
                opcode: frame.opcode, isFinal: frame.isFinal, mask: frame.mask.map { MaskingKey(word: $0) },
                length: frame.length, received: frame.received)
        }
        if let fragments = snapshot.message {
            var message = Message(isText: fragments.isText, isCompressed: fragments.isCompressed)
            message.payload = fragments.payload
            message.emptyFragments = max(fragments.emptyFragments, 0)
            if message.isText, !message.isCompressed {
                let isText = message.payload.withUnsafeReadableBytes { message.text.accept($0) }
                guard isText else { throw SnapshotError("its text is not UTF-8") }
            }
            self.message = message
        }
        self.control = snapshot.control
    }
}

extension WebSocketParser.Snapshot {
    func write(into bytes: inout ByteBuffer) {
        bytes.writeField(self.frame != nil)
        if let frame = self.frame {
            bytes.writeInteger(frame.opcode.rawValue)
            bytes.writeField(frame.isFinal)
            bytes.writeField(frame.mask != nil)
            bytes.writeInteger(frame.mask ?? 0)
            bytes.writeField(frame.length)
            bytes.writeField(frame.received)
        }
        bytes.writeField(self.message != nil)
        if let message = self.message {
            bytes.writeField(message.isText)
            bytes.writeField(message.isCompressed)
            bytes.writeField(message.emptyFragments)
            bytes.writeField(message.payload)
        }
        bytes.writeField(self.control)
    }

    init(reading bytes: inout ByteBuffer) throws(SnapshotError) {
        if try bytes.boolField() {
            let number = try bytes.integerField(as: UInt8.self)
            guard let opcode = WebSocketOpcode(rawValue: number) else { throw SnapshotError("\(number) is no opcode") }
            let isFinal = try bytes.boolField()
            let isMasked = try bytes.boolField()
            let mask = try bytes.integerField(as: UInt32.self)
            self.frame = Frame(
                opcode: opcode, isFinal: isFinal, mask: isMasked ? mask : nil, length: try bytes.intField(),
                received: try bytes.intField())
        }
        if try bytes.boolField() {
            self.message = Fragments(
                isText: try bytes.boolField(), isCompressed: try bytes.boolField(),
                emptyFragments: try bytes.intField(), payload: try bytes.bytesField())
        }
        self.control = try bytes.bytesField()
    }
}

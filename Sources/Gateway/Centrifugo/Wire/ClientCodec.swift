import ClientWire
import JSON
import NIOCore
import SwiftProtobuf

/// How commands, replies and pushes are written. Several stand in one frame, body or chunk: in JSON with a line feed
/// between them, in Protobuf each behind its length.
enum ClientCodec: Hashable, Sendable {
    case json
    case protobuf

    /// A frame that is no sequence of commands.
    struct Fault: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Takes the next command out of a frame that is not empty.
    func nextCommand(of frame: inout ByteBuffer) throws(Fault) -> ClientCommand {
        switch self {
        case .json:
            do throws(JSONError) {
                return try ClientCommand(decoding: frame.readLine())
            } catch {
                throw Fault("\(error)")
            }
        case .protobuf:
            guard let length = frame.readVarint(), let message = frame.readSlice(length: Int(length)) else {
                throw Fault("no length, or less than it says")
            }
            do {
                return try ClientCommand(message: message)
            } catch {
                throw Fault("\(error)")
            }
        }
    }

    /// Takes what opens a unidirectional connection: the fields of `connect`, and nothing around them.
    func connect(in frame: inout ByteBuffer) throws(Fault) -> ClientCommand {
        do {
            let bytes = frame
            frame.moveReaderIndex(to: frame.writerIndex)
            switch self {
            case .json:
                return ClientCommand(id: 1, .connect(try ClientCommand.Connect(ClientFields(bytes, wanted: nil))))
            case .protobuf: return ClientCommand(id: 1, .connect(try ClientCommand.Connect(message: bytes)))
            }
        } catch {
            throw Fault("\(error)")
        }
    }

    /// Writes a reply behind what `frame` has.
    func write(_ reply: ClientReply, to frame: inout ByteBuffer) {
        switch self {
        case .json: ClientJSONWriter.append(to: &frame) { $0.write(reply) }
        case .protobuf: Self.write(reply.message, to: &frame)
        }
    }

    /// Writes a push behind what `frame` has.
    ///
    /// - Parameter isBare: by itself, and not in a reply.
    func write(_ push: ClientPush, isBare: Bool, to frame: inout ByteBuffer) {
        switch self {
        case .json: ClientJSONWriter.append(to: &frame) { $0.write(push, isBare: isBare) }
        case .protobuf:
            if case .publication(let publication) = push.event {
                frame.writePublication(
                    publication.data.bytes, rest: publication.fieldsBesideData, channel: push.channel,
                    number: push.number, isBare: isBare)
            } else if isBare {
                Self.write(push.message, to: &frame)
            } else {
                var reply = WireReply()
                reply.push = push.message
                Self.write(reply, to: &frame)
            }
        }
    }

    private static func write(_ message: some SwiftProtobuf.Message, to frame: inout ByteBuffer) {
        let bytes: [UInt8] = message.bytes
        frame.writeVarint(UInt64(bytes.count))
        frame.writeBytes(bytes)
    }

    /// An empty reply, which the browser answers in kind.
    var ping: ByteBuffer {
        switch self {
        case .json: ByteBuffer(string: "{}")
        case .protobuf: ByteBuffer(bytes: [0])
        }
    }

    /// A frame as the wire takes it.
    func message(_ frame: ByteBuffer) -> RuleOutcome {
        switch self {
        case .json: .text(frame)
        case .protobuf: .binary(frame)
        }
    }
}

extension ByteBuffer {
    /// What stands before the next line feed, which is passed over, or all there is.
    fileprivate mutating func readLine() -> ByteBuffer {
        let length = self.readableBytesView.firstIndex(of: UInt8(ascii: "\n")).map { $0 - self.readerIndex }
        let line = self.readSlice(length: length ?? self.readableBytes) ?? ByteBuffer()
        if length != nil { self.moveReaderIndex(forwardBy: 1) }
        return line
    }
}

import NIOCore
import Synchronization

/// Makes the bytes of a message, for each wire. Shared by all threads.
package final class FrameBuilder: Sendable {
    /// Below this many bytes compressing costs more than it saves.
    package static let compressionThreshold = 200

    private let deflaters: [Deflater?]
    private let events: EventStreamNumbers

    /// - Parameters:
    ///   - compresses: whether permessage-deflate is offered at all; without it no compressor is made.
    ///   - epoch: what event ids begin with, so that ids of different gateways and starts never meet.
    package init(compresses: Bool, epoch: UInt64) {
        self.deflaters = (0...15).map { compresses && $0 >= 9 ? Deflater(windowBits: $0) : nil }
        self.events = EventStreamNumbers(epoch: epoch)
    }

    /// The frame that says `outcome`; `nil` for a message that is dropped.
    package func frame(for outcome: RuleOutcome, on wire: Wire) -> Frame? {
        switch outcome {
        case .text(let payload): .bytes(self.frame(.text, payload, on: wire))
        case .binary(let payload): .bytes(self.frame(.binary, payload, on: wire))
        case .close(let code, let reason): .close(CloseCode(rawValue: code), reason: reason)
        case .nothing, .drop: nil
        }
    }

    private static let allocator = ByteBufferAllocator()

    private func frame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer, on wire: Wire) -> ByteBuffer {
        // With its room from the beginning: growing an empty buffer is an allocation of its own kind.
        var frame = Self.allocator.buffer(capacity: payload.readableBytes &+ 10)
        switch wire {
        case .webSocket:
            frame.writeWebSocketFrame(opcode, payload: payload)
        case .webSocketDeflate(let windowBits):
            if payload.readableBytes >= Self.compressionThreshold, self.deflaters.indices.contains(windowBits),
                let compressed = self.deflaters[windowBits]?.deflate(payload)
            {
                frame.writeWebSocketFrame(opcode, payload: compressed, compressed: true)
            } else {
                frame.writeWebSocketFrame(opcode, payload: payload)
            }
        case .eventStream:
            frame.writeEvent(opcode == .text ? .text : .binary, payload: payload, id: self.events.next())
        case .clientStream:
            frame.writeImmutableBuffer(payload)
            if opcode == .text { frame.writeInteger(UInt8(ascii: "\n")) }
        case .clientEvents:
            frame.writeClientEvents(payload)
        }
        return frame
    }
}

/// Ids for the events of one gateway: its epoch and a number that rises.
final class EventStreamNumbers: Sendable {
    private let prefix: String
    private let last = Atomic<UInt64>(0)

    init(epoch: UInt64) { self.prefix = String(epoch, radix: 36) + "-" }

    func next() -> String {
        self.prefix + String(self.last.wrappingAdd(1, ordering: .relaxed).newValue)
    }
}

import ChannelLayer
import NIOCore

extension RedisMessageCodec {
    /// A message up to where the number of its offset begins: a script writes the rest.
    ///
    ///     … "offset" 0xCF | 8 bytes, "epoch", its text [, "__asgi_channel__", the list]       MessagePack
    ///     …, "offset":    | digits, "epoch": "…" [, "__asgi_channel__": […]] }                JSON
    ///
    /// - Parameter withReceivers: whether a list of receivers follows, as in the core layer.
    func encodeHead(_ message: LayerMessage, withReceivers: Bool) throws(LayerError) -> ByteBuffer {
        var carried = message
        // The largest one is always written in 8 bytes.
        carried.entries.append(.init(key: .string(LayerMessage.offsetKey), value: .uint(.max)))
        carried.entries.append(.init(key: .string(LayerMessage.epochKey), value: .string("")))
        var bytes: ByteBuffer
        var rest: Int
        switch self.serializer {
        case .messagePack: rest = 8 + "_epoch_".utf8.count
        case .json: rest = "\(UInt64.max), \"epoch\": \"\"}".utf8.count
        }
        if withReceivers {
            bytes = try self.encodeOpen(carried)
            // The map's end is not there, but the key and what stands around it.
            rest += Self.receiversKey.utf8.count + (self.serializer == .json ? ", \"\": ".utf8.count - 1 : 1)
        } else {
            bytes = try self.encode(carried, at: 0)
        }
        bytes.moveWriterIndex(to: bytes.writerIndex - rest)
        return bytes
    }
}

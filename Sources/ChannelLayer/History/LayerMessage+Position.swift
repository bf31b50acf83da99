extension LayerMessage {
    /// The keys under which a kept publication says its position.
    package static let offsetKey = "offset"
    package static let epochKey = "epoch"

    /// Where the publication stands in its group's stream; `nil` when it is not kept.
    public var position: StreamPosition? {
        let offset: UInt64
        switch self[Self.offsetKey] {
        case .int(let value)? where value > 0: offset = UInt64(value)
        case .uint(let value)?: offset = value
        default: return nil
        }
        guard case .string(let epoch)? = self[Self.epochKey] else { return nil }
        return StreamPosition(offset: offset, epoch: epoch)
    }

    /// The message with a position, whatever it said of one before.
    package func positioned(at position: StreamPosition) -> LayerMessage {
        let offset = Int64(exactly: position.offset).map(LayerValue.int) ?? .uint(position.offset)
        var message = self
        message.entries.reserveCapacity(message.entries.count + 2)
        message.entries.append(.init(key: .string(Self.offsetKey), value: offset))
        message.entries.append(.init(key: .string(Self.epochKey), value: .string(position.epoch)))
        return message
    }
}

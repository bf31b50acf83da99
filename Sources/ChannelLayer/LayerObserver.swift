/// Is told what a layer drops, so that somebody counts and logs it. Calls come from any thread and must not block.
public protocol LayerObserver: Sendable {
    /// - Parameters:
    ///   - name: the channel or group that the messages were for.
    ///   - count: messages, at least 1.
    func dropped(_ reason: LayerDrop, name: String, count: Int)
}

/// Why a layer dropped messages. The raw value is the label of the metric that counts it.
public enum LayerDrop: String, Sendable, CaseIterable {
    /// A group's message for a member whose channel is full.
    case overCapacity = "over_capacity"
    /// Nobody read it in time.
    case expired
    /// Bytes that are no message.
    case undecodable
    /// A message that none of the keys opens.
    case undecryptable
    /// The broker was away.
    case unavailable
    /// For a channel whose process is gone, or that was deleted in the broker.
    case unroutable
    /// It cannot be carried: a reserved key, too large, not writable in the layer's form.
    case invalid
}

extension LayerError {
    /// As what a message that failed so is counted when nobody waits to hear about it.
    package var drop: LayerDrop {
        switch self.code {
        case .channelFull: .overCapacity
        case .invalidMessage, .invalidName, .unsupported: .invalid
        default: .unavailable
        }
    }
}

/// The `async` forms by those for callers that cannot await, for layers that have nothing better.
extension ChannelLayer {
    public func send(_ message: LayerMessage, to channel: ChannelName) async throws(LayerError) {
        try await Self.outcome { self.submit(message, to: channel, completion: $0) }
    }

    public func send(_ message: LayerMessage, toGroup group: GroupName) async throws(LayerError) {
        try await Self.outcome { self.submit(message, toGroup: group, completion: $0) }
    }

    /// Begins something, and waits until it tells how it ended.
    package static func outcome(
        of begin: (@escaping @Sendable (LayerError?) -> Void) -> Void
    ) async throws(LayerError) {
        let error = await withCheckedContinuation { continuation in begin { continuation.resume(returning: $0) } }
        if let error { throw error }
    }
}

import ChannelLayer

/// One `receive` that waits, or will.
///
/// `@unchecked Sendable`: touched on the layer's event loop only.
final class RedisReader: @unchecked Sendable {
    typealias Continuation = CheckedContinuation<Result<LayerMessage, LayerError>, Never>

    private var continuation: Continuation?
    /// It has its answer, or was cancelled before it began to wait.
    private(set) var isOver = false

    /// - Returns: `false` when it was cancelled already, and has its answer.
    func begin(_ continuation: Continuation) -> Bool {
        guard !self.isOver else {
            continuation.resume(returning: .failure(LayerError(.cancelled, "the waiting task was cancelled")))
            return false
        }
        self.continuation = continuation
        return true
    }

    /// Answers; only the first time counts.
    func resume(_ result: Result<LayerMessage, LayerError>) {
        guard !self.isOver else { return }
        self.isOver = true
        self.continuation?.resume(returning: result)
        self.continuation = nil
    }
}

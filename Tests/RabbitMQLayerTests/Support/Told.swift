import ChannelLayer
import Synchronization

/// Keeps what completions were told.
final class Told: Sendable {
    private let lines = Mutex<[String]>([])

    /// A completion whose line begins with `name`.
    func waiter(_ name: String) -> @Sendable (LayerError?) -> Void {
        { error in self.lines.withLock { $0.append("\(name) \(error?.code.description ?? "ok")") } }
    }

    var all: [String] { self.lines.withLock { $0 } }
}

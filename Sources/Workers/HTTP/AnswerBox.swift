import NIOCore
import Synchronization

/// What pool threads have for the connections of one event loop, in order.
final class AnswerBox: Sendable {
    enum Letter: Sendable {
        case answer(WorkerResponse, Exchange)
        case other(@Sendable (WorkerConnection) -> Void, Exchange)
    }

    private struct State {
        var letters: [Letter] = []
        /// The loop has been told, and will empty the box.
        var hasRung = false
        /// The loop looks by itself soon.
        var mayHold = false
    }

    private let state = Mutex(State())
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// From any thread.
    ///
    /// - Parameter isHeld: the loop need not be woken for it yet; `ring` follows soon.
    func put(_ letter: Letter, isHeld: Bool = false) {
        let rings = self.state.withLock { state in
            state.letters.append(letter)
            guard !state.hasRung, !(isHeld && state.mayHold) else { return false }
            state.hasRung = true
            return true
        }
        if rings { self.eventLoop.execute { self.empty() } }
    }

    /// Wakes the loop for what was held; nothing when nothing is.
    func ring() {
        let rings = self.state.withLock { state in
            guard !state.hasRung, !state.letters.isEmpty else { return false }
            state.hasRung = true
            return true
        }
        if rings { self.eventLoop.execute { self.empty() } }
    }

    /// On the loop: whether letters may be held. Empty the box after saying no.
    func mayHold(_ may: Bool) { self.state.withLock { $0.mayHold = may } }

    /// On the loop: delivers everything.
    func empty() {
        let letters = self.state.withLock { state in
            defer { state.letters = [] }
            state.hasRung = false
            return state.letters
        }
        for letter in letters {
            switch letter {
            case .answer(let response, let exchange): exchange.connection.answer(response, to: exchange)
            case .other(let body, let exchange): body(exchange.connection)
            }
        }
    }
}

import CDescriptors
import NIOPosix
import Synchronization

/// The threads of a layer. They end by themselves, soon after they are told to.
final class LayerThreads: Sendable {
    private struct State {
        var running: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let pool: NIOThreadPool
    private let state: Mutex<State>

    /// - Parameter bodies: what each thread does, and its name of at most 15 bytes.
    init(_ bodies: [(name: String, body: @Sendable () -> Void)]) {
        self.state = Mutex(State(running: bodies.count))
        self.pool = NIOThreadPool(numberOfThreads: bodies.count)
        self.pool.start()
        for (name, body) in bodies {
            self.pool.submit { [self] _ in
                cdescriptors_name_thread(name)
                body()
                self.oneEnded()
            }
        }
    }

    /// Waits until all have ended, or for `time`: one may be stuck in a call to a broker that does not answer.
    func ended(within time: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.allEnded() }
            group.addTask {
                try? await Task.sleep(for: time)
                self.release()
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func allEnded() async {
        await withCheckedContinuation { continuation in
            let isOver = self.state.withLock { state in
                if state.running > 0 { state.waiters.append(continuation) }
                return state.running == 0
            }
            if isOver { continuation.resume() }
        }
    }

    private func oneEnded() {
        let isLast = self.state.withLock { state in
            state.running -= 1
            return state.running == 0
        }
        guard isLast else { return }
        self.release()
        self.pool.shutdownGracefully { _ in }
    }

    private func release() {
        let waiters = self.state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

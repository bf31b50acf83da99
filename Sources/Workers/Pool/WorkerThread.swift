import Glibc

/// Starts threads. They are real ones: what runs on them may block, which Swift's own pool must never do.
enum WorkerThread {
    /// Runs `body` on a new, detached thread.
    ///
    /// - Parameter name: as `top -H` shows it; at most 15 bytes count.
    /// - Throws: `cannotStart` when the system gives no thread.
    static func start(named name: String, _ body: @escaping @Sendable () -> Void) throws(WorkerError) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let code = pthread_create(&thread, &attributes, WorkerThread.main, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw WorkerError(
                .cannotStart,
                "The system gives no thread for \(name): \(String(cString: strerror(code))). Fewer workers.threads, "
                    + "or a higher limit of processes (ulimit -u), would help.")
        }
    }

    /// Names the calling thread. `pthread_setname_np` and `prctl` cannot be imported.
    private static func setName(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let name = Array(name.utf8.prefix(15))
        _ = write(file, name, name.count)
        close(file)
    }

    /// What a new thread takes over from the one that made it.
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        WorkerThread.setName(start.name)
        start.body()
        return nil
    }
}

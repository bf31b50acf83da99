import CDescriptors
import Glibc

/// Wakes a thread that waits for its socket.
final class Waker: Sendable {
    /// An eventfd, or -1 when the process has no descriptor left; then the thread wakes with its next tick.
    let descriptor: CInt

    init() { self.descriptor = cdescriptors_eventfd() }

    deinit { if self.descriptor >= 0 { close(self.descriptor) } }

    func wake() {
        var one: UInt64 = 1
        _ = write(self.descriptor, &one, 8)
    }

    /// Waits until somebody calls `wake`, `socket` can be read, or the time is over.
    ///
    /// - Parameter socket: -1 for none.
    func wait(socket: CInt = -1, atMost time: Duration) {
        // poll leaves out negative descriptors.
        var watched = [
            pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
        ]
        let (seconds, attoseconds) = time.components
        let milliseconds = min(max(seconds, 0), 3_600) * 1_000 + max(attoseconds, 0) / 1_000_000_000_000_000
        // One more, so that a wait for 0.4 ms is no busy loop.
        guard poll(&watched, nfds_t(watched.count), CInt(milliseconds + 1)) > 0, watched[0].revents != 0 else { return }
        var count: UInt64 = 0
        _ = read(self.descriptor, &count, 8)
    }
}

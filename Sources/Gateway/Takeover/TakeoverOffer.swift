import CDescriptors
import Glibc
import NIOCore
import Sockets
import Synchronization

/// Waits at a Unix socket for the gateway that comes after this one, and passes everything on to it.
final class TakeoverOffer: Sendable {
    private let path: String
    let listener: CInt
    private let stopSignal: CInt
    private let hasStopped = Atomic(false)

    /// - Parameter listener: of the gateway before, owned from now on; `nil` binds the socket, and replaces one that a
    ///   gateway left behind.
    init(path: String, inheriting listener: CInt?) throws {
        self.path = path
        if let listener {
            self.listener = listener
            self.stopSignal = cdescriptors_eventfd()
            return
        }
        guard let address = UnixSocketAddress(path: path) else {
            throw IOError(
                errnoCode: ENAMETOOLONG,
                reason: "a socket's path has at most \(UnixSocketAddress.pathBytes) bytes: \(path)")
        }
        let descriptor = socket(
            AF_UNIX, CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        unlink(path)
        self.stopSignal = cdescriptors_eventfd()
        self.listener = descriptor
        guard self.stopSignal >= 0, address.bind(descriptor), chmod(path, 0o600) == 0, listen(descriptor, 4) == 0
        else {
            let error = IOError(errnoCode: errno, reason: "listen \(path)")
            close(descriptor)
            throw error
        }
    }

    // Not the thread: somebody may still want to stop it when it has ended.
    deinit { close(self.stopSignal) }

    /// Starts the thread. Called once.
    ///
    /// - Parameters:
    ///   - give: passes everything on over a connection; throws when nothing was passed on. Called on the thread.
    ///   - failed: is told why, and the next one may come.
    ///   - done: everything was passed on.
    func start(
        give: @escaping @Sendable (TakeoverLink) throws -> Void, failed: @escaping @Sendable (any Error) -> Void,
        done: @escaping @Sendable () -> Void
    ) throws {
        let isStarted = PlainThread.start(name: "takeover") {
            if self.serve(give, failed) { done() }
        }
        guard isStarted else { throw IOError(errnoCode: EAGAIN, reason: "no thread for takeovers") }
    }

    /// Nobody is let in any more. Idempotent.
    func stop() {
        guard !self.hasStopped.exchange(true, ordering: .relaxed) else { return }
        var one: UInt64 = 1
        _ = write(self.stopSignal, &one, MemoryLayout<UInt64>.size)
    }

    /// - Returns: whether everything was passed on.
    private func serve(_ give: (TakeoverLink) throws -> Void, _ failed: (any Error) -> Void) -> Bool {
        defer { close(self.listener) }
        while true {
            var waits = [self.stopSignal, self.listener].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&waits, 2, -1) >= 0 || errno == EINTR else { return false }
            if waits[0].revents != 0 {
                unlink(self.path)
                return false
            }
            guard waits[1].revents != 0 else { continue }
            var peer = sockaddr_storage()
            let connection = cdescriptors_accept(self.listener, &peer, MemoryLayout<sockaddr_storage>.size)
            guard connection >= 0 else {
                usleep(100_000)
                continue
            }
            do {
                try give(TakeoverLink(connection))
                return true
            } catch {
                failed(error)
            }
        }
    }
}

import CDescriptors
import Glibc
import NIOCore
import Sockets
import Synchronization

/// Takes connections from an inherited listening socket, which other processes may take from as well.
///
/// Workers under supervisord's fcgi-program all have the same one. Of those that wait for it the kernel wakes one for each
/// connection (`EPOLLEXCLUSIVE`); NIO's own listening sockets would all be woken, and a debug build of NIO even takes it
/// for a fault of its own when another process was quicker.
final class SharedListener: Sendable {
    /// How long nothing is accepted after the process ran out of descriptors.
    private static let pauseMilliseconds: CInt = 100

    /// Where it listens; `nil` for a Unix socket.
    let address: SocketAddress?
    private let listener: CInt
    private let stopSignal: CInt
    private let epoll: CInt
    private let hasStopped = Atomic(false)
    private let ended: EventLoopPromise<Void>
    private let accepted: @Sendable (CInt) -> Void

    /// - Parameters:
    ///   - listener: a listening socket; a copy is used, and the original stays as it is.
    ///   - loop: any.
    ///   - accepted: owns a connected socket from then on; called on the listener's thread, must not block.
    /// - Throws: `cannotStart`.
    init(_ listener: CInt, loop: any EventLoop, accepted: @escaping @Sendable (CInt) -> Void) throws(WorkerError) {
        let copy = try Self.duplicate(listener)
        let (stopSignal, epoll) = (cdescriptors_eventfd(), cdescriptors_epoll_create())
        guard stopSignal >= 0, epoll >= 0,
            cdescriptors_epoll_add(epoll, stopSignal, CDESCRIPTORS_READABLE.rawValue) == 0
        else {
            let reason = String(cString: strerror(errno))
            for descriptor in [copy, stopSignal, epoll] where descriptor >= 0 { Glibc.close(descriptor) }
            throw WorkerError(.cannotStart, "File descriptor \(listener) cannot be waited for: \(reason).")
        }
        (self.listener, self.stopSignal, self.epoll) = (copy, stopSignal, epoll)
        self.address = Self.address(of: copy)
        self.ended = loop.makePromise()
        self.accepted = accepted
    }

    /// Starts the thread; once.
    ///
    /// - Throws: `cannotStart`.
    func start() throws(WorkerError) {
        guard self.listen(), PlainThread.start(name: "listener", { self.run() }) else {
            self.closeAll()
            self.ended.succeed()
            throw WorkerError(.cannotStart, "The system gives no thread to accept connections.")
        }
    }

    /// Takes no more; returns when that is so. The socket itself lives on: it is the parent's.
    func stop() async {
        if !self.hasStopped.exchange(true, ordering: .relaxed) {
            var one: UInt64 = 1
            _ = write(self.stopSignal, &one, MemoryLayout<UInt64>.size)
        }
        try? await self.ended.futureResult.get()  // never fails
    }

    private func listen() -> Bool {
        let bits = CDESCRIPTORS_READABLE.rawValue | CDESCRIPTORS_EXCLUSIVE.rawValue
        return cdescriptors_epoll_add(self.epoll, self.listener, bits) == 0
    }

    // MARK: The thread

    private func run() {
        defer {
            self.closeAll()
            self.ended.succeed()
        }
        var isPaused = false
        var event = cdescriptors_event()
        while true {
            let count = cdescriptors_epoll_wait(self.epoll, &event, 1, isPaused ? Self.pauseMilliseconds : -1)
            guard count >= 0, count == 0 || event.descriptor != self.stopSignal else { return }
            if isPaused {
                guard self.listen() else { return }
                isPaused = false
            }
            guard count > 0, !self.accept() else { continue }
            // To try again at once would keep a processor busy.
            _ = cdescriptors_epoll_remove(self.epoll, self.listener)
            isPaused = true
        }
    }

    /// `false` when no descriptor is left. That somebody else was quicker, or the visitor has left again, is nothing.
    private func accept() -> Bool {
        var peer = sockaddr_storage()
        let visitor = cdescriptors_accept(self.listener, &peer, MemoryLayout<sockaddr_storage>.size)
        guard visitor >= 0 else { return ![EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) }
        self.accepted(visitor)
        return true
    }

    private func closeAll() {
        for descriptor in [self.epoll, self.listener, self.stopSignal] { Glibc.close(descriptor) }
    }

    private static func address(of socket: CInt) -> SocketAddress? {
        var storage = sockaddr_storage()
        return withUnsafeMutableBytes(of: &storage) { raw in
            var length = socklen_t(raw.count)
            guard let base = raw.baseAddress,
                getsockname(socket, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return nil }
            switch CInt(raw.loadUnaligned(as: sockaddr.self).sa_family) {
            case AF_INET: return SocketAddress(raw.loadUnaligned(as: sockaddr_in.self))
            case AF_INET6: return SocketAddress(raw.loadUnaligned(as: sockaddr_in6.self))
            default: return nil
            }
        }
    }

    /// A copy that is surely non-blocking, so that a connection another process took keeps nobody waiting.
    private static func duplicate(_ number: CInt) throws(WorkerError) -> CInt {
        var isListening: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &size) == 0, isListening != 0 else {
            throw WorkerError(
                .cannotStart,
                "File descriptor \(number) is no listening socket. Under supervisord the program must be an "
                    + "[fcgi-program:x] with socket=…; under systemd a .socket unit is needed.")
        }
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0, fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK) == 0 else {
            let reason = String(cString: strerror(errno))
            if copy >= 0 { Glibc.close(copy) }
            throw WorkerError(.cannotStart, "File descriptor \(number) cannot be used: \(reason).")
        }
        return copy
    }
}

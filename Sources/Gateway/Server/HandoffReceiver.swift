import CDescriptors
import Glibc
import NIOCore
import Sockets
import Synchronization

/// Takes browsers' sockets from routers on this host.
///
/// Listens on a Unix socket of whole packets (SOCK_SEQPACKET), `<gateway's socket>.handoff`. Each packet is one byte, the
/// version, with one descriptor beside it; nothing has been read from that socket. One thread waits for all routers:
/// descriptor passing is a system call that NIO does not have.
///
/// Back come reports: the version and eight bytes, how many connections are open. A router gets one when it connects and
/// then once a second, so that it knows which gateway has the fewest; what it hands over in between it counts itself.
///
/// Who may open the socket's file is a router, and may still be an old or a broken one: whatever it sends costs a line in
/// the log at most, and no descriptor stays open by it.
package final class HandoffReceiver: Sendable {
    /// What a packet begins with.
    package static let version: UInt8 = 1
    /// Routers at once; one more is turned away.
    package static let routerLimit = 256
    /// Packets taken from one router before the others have their turn.
    private static let packetsPerTurn = 64
    /// How long no router is accepted after the process ran out of descriptors.
    private static let pauseMilliseconds: CInt = 100
    private static let reportInterval = TimeAmount.seconds(1)

    package let path: String
    private let listener: CInt
    private let stopSignal: CInt
    private let hasStopped = Atomic(false)
    private let isSuspended = Atomic(false)
    private let hasEnded = Atomic(false)
    private let routers: Mutex<[CInt]>
    private let adopt: @Sendable (CInt) -> Void
    private let connections: @Sendable () -> Int
    /// A packet that was no hand-off, or a router that was turned away.
    private let rejected: @Sendable (String) -> Void

    /// - Parameters:
    ///   - sockets: to listen at, and routers that are connected; owned from now on.
    ///   - adopt: takes over a stream socket; called on the receiver's thread, must not block.
    ///   - connections: how many are open.
    init(
        _ sockets: ListeningSockets.Handoff, adopt: @escaping @Sendable (CInt) -> Void,
        connections: @escaping @Sendable () -> Int,
        rejected: @escaping @Sendable (String) -> Void
    ) throws {
        self.path = sockets.path
        self.adopt = adopt
        self.connections = connections
        self.rejected = rejected
        self.listener = sockets.listener
        self.routers = Mutex(sockets.routers)
        self.stopSignal = cdescriptors_eventfd()
        guard self.stopSignal >= 0 else {
            for descriptor in [sockets.listener] + sockets.routers { Glibc.close(descriptor) }
            throw IOError(errnoCode: errno, reason: "eventfd")
        }
    }

    /// Binds the socket; an old socket file that nobody listens on is replaced.
    ///
    /// - Parameters:
    ///   - mode: permissions of the socket file, for example `0o660` when router and gateway share a group.
    ///   - adopt: takes over a stream socket; called on the receiver's thread, must not block.
    ///   - connections: how many are open.
    package convenience init(
        path: String, mode: UInt32, adopt: @escaping @Sendable (CInt) -> Void,
        connections: @escaping @Sendable () -> Int = { 0 },
        rejected: @escaping @Sendable (String) -> Void
    ) throws {
        try self.init(try Self.bind(path, mode: mode), adopt: adopt, connections: connections, rejected: rejected)
    }

    /// Starts the thread. Called once.
    package func start() throws {
        guard PlainThread.start(name: "handoff", { self.run() }) else {
            throw IOError(errnoCode: EAGAIN, reason: "no thread for hand-offs")
        }
    }

    /// Takes no more; what was handed over already is served on. Idempotent.
    package func stop() {
        guard !self.hasStopped.exchange(true, ordering: .relaxed) else { return }
        unlink(self.path)
        self.wake()
    }

    /// Takes no more and ends, and leaves the sockets open. Blocks until the thread has ended.
    ///
    /// - Returns: the sockets, which are the caller's; `nil` when it was stopped before.
    func suspend() -> ListeningSockets.Handoff? {
        guard !self.hasStopped.exchange(true, ordering: .relaxed) else { return nil }
        self.isSuspended.store(true, ordering: .releasing)
        self.wake()
        while !self.hasEnded.load(ordering: .acquiring) { usleep(1_000) }
        return ListeningSockets.Handoff(
            path: self.path, listener: self.listener, routers: self.routers.withLock { $0 })
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(self.stopSignal, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: The thread

    private func run() {
        var routers = self.routers.withLock { $0 }
        var isPaused = false
        var nextReport = NIODeadline.now()
        defer {
            if self.isSuspended.load(ordering: .acquiring) {
                self.routers.withLock { $0 = routers }
            } else {
                for descriptor in routers + [self.listener] { Glibc.close(descriptor) }
            }
            Glibc.close(self.stopSignal)
            self.hasEnded.store(true, ordering: .releasing)
        }
        while true {
            // A negative descriptor is passed over.
            var waits = ([self.stopSignal, isPaused ? -1 : self.listener] + routers).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            let untilReport = CInt(clamping: (nextReport - .now()).nanoseconds / 1_000_000 + 1)
            let time = isPaused ? Self.pauseMilliseconds : routers.isEmpty ? -1 : max(0, untilReport)
            let ready = poll(&waits, nfds_t(waits.count), time)
            guard ready >= 0 || errno == EINTR || errno == EAGAIN || errno == ENOMEM else { return }
            guard waits[0].revents == 0 else { return }
            for wait in waits.dropFirst(2) where wait.revents != 0 && !self.receive(from: wait.fd) {
                Glibc.close(wait.fd)
                routers.removeAll { $0 == wait.fd }
            }
            if .now() >= nextReport {
                self.report(to: routers)
                nextReport = .now() + Self.reportInterval
            }
            isPaused = waits[1].revents != 0 && !self.accept(into: &routers)
        }
    }

    /// `false` when no descriptor is left for a router: to try again at once would keep a processor busy.
    private func accept(into routers: inout [CInt]) -> Bool {
        var peer = sockaddr_storage()
        let router = cdescriptors_accept(self.listener, &peer, MemoryLayout<sockaddr_storage>.size)
        guard router >= 0 else { return ![EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) }
        guard routers.count < Self.routerLimit else {
            Glibc.close(router)
            self.rejected("\(Self.routerLimit) routers are connected; one more was turned away")
            return true
        }
        routers.append(router)
        self.report(to: [router])
        return true
    }

    /// A router that does not read gets no more until it has.
    private func report(to routers: [CInt]) {
        let count = UInt64(clamping: self.connections())
        let packet = [Self.version] + (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * UInt64($0))) }
        for router in routers { _ = cdescriptors_send_descriptor(router, packet, packet.count, -1) }
    }

    /// Takes packets that wait; those that are left are met at the next look. `false` when the router is gone.
    private func receive(from router: CInt) -> Bool {
        for _ in 0..<Self.packetsPerTurn {
            // One byte more than a packet has, so that a longer one is seen to be none.
            var packet: (UInt8, UInt8) = (0, 0)
            var descriptor: CInt = -1
            let count = cdescriptors_receive_descriptor(router, &packet, 2, &descriptor)
            if count < 0 { return errno == EAGAIN || errno == EINTR }
            if count == 0, descriptor < 0 { return false }
            if let fault = Self.fault(count, packet.0, descriptor) {
                if descriptor >= 0 { Glibc.close(descriptor) }
                self.rejected(fault)
            } else {
                self.adopt(descriptor)
            }
        }
        return true
    }

    /// What is wrong with a packet; `nil` for a hand-off.
    private static func fault(_ count: Int, _ version: UInt8, _ descriptor: CInt) -> String? {
        guard descriptor >= 0 else { return "packet without a descriptor" }
        guard count == 1 else { return "packet of \(count == 0 ? "no bytes" : "several bytes"), wanted one" }
        guard version == Self.version else {
            return "packet of version \(version), wanted \(Self.version): update router and gateway together"
        }
        guard Self.option(SO_TYPE, of: descriptor) == CInt(SOCK_STREAM.rawValue),
            Self.option(SO_ACCEPTCONN, of: descriptor) == 0
        else { return "descriptor of something that is no connected stream socket" }
        return nil
    }

    private static func option(_ name: CInt, of descriptor: CInt) -> CInt? {
        var value: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
    }

    static func bind(_ path: String, mode: UInt32) throws -> ListeningSockets.Handoff {
        guard let address = UnixSocketAddress(path: path) else {
            throw IOError(
                errnoCode: ENAMETOOLONG,
                reason: "a socket's path has at most \(UnixSocketAddress.pathBytes) bytes: \(path)")
        }
        let descriptor = socket(
            AF_UNIX, CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        // A file that answers nobody is what a killed gateway left behind.
        if !address.connect(descriptor), errno == ECONNREFUSED { unlink(path) }
        guard address.bind(descriptor), chmod(path, mode) == 0, listen(descriptor, 128) == 0 else {
            let error = IOError(errnoCode: errno, reason: "listen \(path)")
            Glibc.close(descriptor)
            throw error
        }
        return ListeningSockets.Handoff(path: path, listener: descriptor, routers: [])
    }
}

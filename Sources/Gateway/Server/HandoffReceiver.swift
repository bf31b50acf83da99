import CDescriptors
import Glibc
import NIOCore
import Synchronization

/// Takes browsers' sockets from routers on this host.
///
/// Listens on a Unix socket of whole packets (SOCK_SEQPACKET), `<gateway's socket>.handoff`. Each packet is one byte, the
/// version, with one descriptor beside it; nothing has been read from that socket. One thread waits for all routers:
/// descriptor passing is a system call that NIO does not have.
package final class HandoffReceiver: Sendable {
    /// What a packet begins with.
    package static let version: UInt8 = 1

    package let path: String
    private let listener: CInt
    private let stopSignal: CInt
    private let hasStopped = Atomic(false)
    private let adopt: @Sendable (CInt) -> Void
    /// A packet that was no hand-off.
    private let rejected: @Sendable (String) -> Void

    /// Binds the socket; an old socket file that nobody listens on is replaced.
    ///
    /// - Parameters:
    ///   - mode: permissions of the socket file, for example `0o660` when router and gateway share a group.
    ///   - adopt: takes over a connected socket; called on the receiver's thread, must not block.
    package init(
        path: String, mode: UInt32, adopt: @escaping @Sendable (CInt) -> Void,
        rejected: @escaping @Sendable (String) -> Void
    ) throws {
        self.path = path
        self.adopt = adopt
        self.rejected = rejected
        self.listener = try Self.bind(path, mode: mode)
        self.stopSignal = cdescriptors_eventfd()
        guard self.stopSignal >= 0 else {
            Glibc.close(self.listener)
            throw IOError(errnoCode: errno, reason: "eventfd")
        }
    }

    /// Starts the thread. Called once.
    package func start() throws {
        let owner = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<HandoffReceiver>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, owner.toOpaque())
        guard status == 0 else {
            owner.release()
            throw IOError(errnoCode: status, reason: "pthread_create")
        }
        pthread_detach(thread)
    }

    /// Takes no more; what was handed over already is served on. Idempotent.
    package func stop() {
        guard !self.hasStopped.exchange(true, ordering: .relaxed) else { return }
        unlink(self.path)
        var one: UInt64 = 1
        _ = write(self.stopSignal, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: The thread

    private func run() {
        var routers: [CInt] = []
        defer {
            for descriptor in routers + [self.listener, self.stopSignal] { Glibc.close(descriptor) }
        }
        while true {
            var waits = ([self.stopSignal, self.listener] + routers).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            guard poll(&waits, nfds_t(waits.count), -1) >= 0 || errno == EINTR else { return }
            guard waits[0].revents == 0 else { return }
            for wait in waits.dropFirst(2) where wait.revents != 0 {
                if !self.receive(from: wait.fd) {
                    Glibc.close(wait.fd)
                    routers.removeAll { $0 == wait.fd }
                }
            }
            if waits[1].revents != 0 {
                var peer = sockaddr_storage()
                let router = cdescriptors_accept(self.listener, &peer, MemoryLayout<sockaddr_storage>.size)
                if router >= 0 { routers.append(router) }
            }
        }
    }

    /// Takes all packets that wait. `false` when the router is gone.
    private func receive(from router: CInt) -> Bool {
        var packet: (UInt8, UInt8) = (0, 0)
        while true {
            var descriptor: CInt = -1
            let count = cdescriptors_receive_descriptor(router, &packet, 2, &descriptor)
            if count < 0 { return errno == EAGAIN || errno == EINTR }
            if descriptor < 0 {
                if count == 0 { return false }
                self.rejected("packet without a descriptor")
            } else if packet.0 == Self.version {
                self.adopt(descriptor)
            } else {
                Glibc.close(descriptor)
                self.rejected(
                    "packet of version \(packet.0), wanted \(Self.version): update router and gateway together")
            }
        }
    }

    private static func bind(_ path: String, mode: UInt32) throws -> CInt {
        let descriptor = socket(
            AF_UNIX, CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        do {
            var address = try Self.address(path)
            let size = socklen_t(MemoryLayout<sockaddr_un>.size)
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> CInt in
                    // A file that answers nobody is what a killed gateway left behind.
                    if connect(descriptor, pointer, size) != 0, errno == ECONNREFUSED { unlink(path) }
                    return Glibc.bind(descriptor, pointer, size)
                }
            }
            guard status == 0 else { throw IOError(errnoCode: errno, reason: "bind \(path)") }
            guard chmod(path, mode) == 0, listen(descriptor, 128) == 0 else {
                throw IOError(errnoCode: errno, reason: "listen \(path)")
            }
            return descriptor
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    private static func address(_ path: String) throws -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw IOError(
                errnoCode: ENAMETOOLONG,
                reason: "socket path of \(bytes.count) bytes, at most 107 are possible: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }
}

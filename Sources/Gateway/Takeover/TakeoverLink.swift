import CDescriptors
import Glibc
import NIOCore
import Sockets

/// A connection between an old and a new gateway, used by one plain thread, which it blocks.
final class TakeoverLink {
    /// What ends a takeover before it is done.
    struct Fault: Error, CustomStringConvertible {
        enum Kind { case version, gone, other }

        let description: String
        let kind: Kind
        init(_ description: String, _ kind: Kind = .other) {
            self.description = description
            self.kind = kind
        }
    }

    /// More than any packet has.
    private static let packetLimit = SessionSnapshot.sizeLimit + 65_536

    private let descriptor: CInt
    private var room = [UInt8](repeating: 0, count: packetLimit)

    /// - Parameter descriptor: owned from now on.
    init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(self.descriptor) }

    /// - Returns: `nil` when nobody listens at `path`.
    static func connect(to path: String) throws -> TakeoverLink? {
        let descriptor = socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        let link = TakeoverLink(descriptor)
        guard let address = UnixSocketAddress(path: path) else {
            throw IOError(errnoCode: ENAMETOOLONG, reason: "socket \(path)")
        }
        if address.connect(descriptor) { return link }
        guard errno == ENOENT || errno == ECONNREFUSED else { throw IOError(errnoCode: errno, reason: path) }
        return nil
    }

    /// Whether the other process is this user's, or root's.
    var isOfSameUser: Bool {
        // `struct ucred`, which Swift does not see: process, user, group.
        var peer: (pid: pid_t, uid: uid_t, gid: gid_t) = (0, uid_t.max, gid_t.max)
        var size = socklen_t(MemoryLayout.size(ofValue: peer))
        guard getsockopt(self.descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 else { return false }
        return peer.uid == geteuid() || peer.uid == 0
    }

    /// - Parameter passed: a descriptor that goes beside the message; the caller keeps its own.
    func send(_ message: TakeoverMessage, passing passed: CInt = -1, seconds: Int32 = 10) throws {
        let bytes = message.encoded()
        while true {
            let sent = bytes.withUnsafeReadableBytes {
                cdescriptors_send_descriptor(self.descriptor, $0.baseAddress, $0.count, passed)
            }
            if sent == bytes.readableBytes { return }
            // Too many descriptors are on their way (ETOOMANYREFS): the other side will take some.
            let code = errno
            guard sent < 0, code == EAGAIN || code == EINTR || code == ETOOMANYREFS else {
                throw Fault("the other gateway is gone: \(String(cString: strerror(code)))", .gone)
            }
            if code == ETOOMANYREFS { usleep(1_000) }
            try self.wait(for: POLLOUT, seconds: seconds)
        }
    }

    /// The next message and the descriptor beside it, or -1.
    func receive(seconds: Int32 = 10) throws -> (TakeoverMessage, CInt) {
        try self.wait(for: POLLIN, seconds: seconds)
        var passed: CInt = -1
        let count = cdescriptors_receive_descriptor(self.descriptor, &self.room, self.room.count, &passed)
        guard count > 0 else { throw Fault("the other gateway is gone", .gone) }
        do {
            let message = try TakeoverMessage(decoding: ByteBuffer(bytes: self.room.prefix(count)))
            if case .abort(let reason) = message { throw Fault(reason) }
            return (message, passed)
        } catch {
            if passed >= 0 { close(passed) }
            throw error
        }
    }

    private func wait(for events: Int32, seconds: Int32) throws {
        var wait = pollfd(fd: self.descriptor, events: Int16(events), revents: 0)
        while true {
            let ready = poll(&wait, 1, seconds * 1_000)
            if ready > 0 { return }
            guard ready < 0, errno == EINTR else {
                throw Fault("the other gateway said nothing for \(seconds) seconds")
            }
        }
    }
}

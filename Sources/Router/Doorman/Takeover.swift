import CDescriptors
import Glibc
import NIOCore
import Sockets

/// How routers of one host share their listening sockets, so that each can be restarted while another one accepts.
///
/// They all know one path. A router that starts asks there, and gets a copy of every listening socket of the one that
/// answers: the same open files with the same queue of connections, so none is refused or lost however many routers come
/// and go. The socket at the path is passed on as well: as long as one router lives, it is answered. When nobody is there,
/// the newcomer opens everything itself.
///
/// ```
///  newcomer ── connects (SOCK_SEQPACKET) ──▶ one of those that run
///           ◀── [version] + descriptor ───── for each listening socket
///           ◀── [version] ────────────────── that was all
/// ```
enum Takeover {
    /// What a packet begins with.
    static let version: UInt8 = 1
    /// How long an answer may take. Whoever has nothing else to do answers at once.
    private static let seconds = 5
    private static let attempts = 3
    private static let socketLimit = 4_096

    /// The listening sockets of those that run, and the one to answer the next newcomer on.
    ///
    /// Two that start at once do so one after the other: a lock on the file `<path>.lock` is held until `body` returns.
    ///
    /// - Parameter body: opens what is still missing and begins to answer.
    /// - Throws: `ListenError` when somebody listens there who does not answer, or nobody can.
    static func with<Result>(
        _ path: String, _ body: (inout InheritedSockets, CInt) throws(ListenError) -> Result
    ) throws(ListenError) -> Result {
        let lock = try Self.lock(path)
        defer { _ = Glibc.close(lock) }
        var inherited = try Self.ask(path)
        defer { inherited.closeRest() }
        guard let own = inherited.take(SocketName(path: path)) else {
            return try body(&inherited, try Self.listen(path))
        }
        return try body(&inherited, own)
    }

    /// Gives `sockets` to the newcomer behind `connection`, and closes that. Never blocks: who does not read asks again.
    static func give(_ sockets: [CInt], to connection: CInt) {
        var version = Self.version
        for socket in sockets {
            guard cdescriptors_send_descriptor(connection, &version, 1, socket) == 1 else { break }
        }
        _ = cdescriptors_send_descriptor(connection, &version, 1, -1)
        _ = Glibc.close(connection)
    }

    // MARK: Asking

    private static func ask(_ path: String) throws(ListenError) -> InheritedSockets {
        for _ in 0..<Self.attempts {
            let connection = try Self.socket(path, CInt(SOCK_CLOEXEC.rawValue))
            defer { _ = Glibc.close(connection) }
            guard UnixSocketAddress(path: path)?.connect(connection) == true else {
                guard errno == ENOENT || errno == ECONNREFUSED else { throw Self.failure(path) }
                return InheritedSockets()
            }
            var time = timeval(tv_sec: Self.seconds, tv_usec: 0)
            _ = setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
            if let sockets = Self.receive(from: connection) { return sockets }
            // The one who was to answer has ended; there may be others.
        }
        throw ListenError(address: path, problem: "a router that runs there does not pass its listening sockets on")
    }

    /// `nil` when the answer is not whole.
    private static func receive(from connection: CInt) -> InheritedSockets? {
        var sockets = InheritedSockets()
        for _ in 0..<Self.socketLimit {
            var version: UInt8 = 0
            var descriptor: CInt = -1
            let count = cdescriptors_receive_descriptor(connection, &version, 1, &descriptor)
            if descriptor >= 0 { sockets.add(descriptor) }
            guard count == 1, version == Self.version else { break }
            if descriptor < 0 { return sockets }
        }
        sockets.closeRest()
        return nil
    }

    // MARK: Answering

    private static func listen(_ path: String) throws(ListenError) -> CInt {
        let descriptor = try Self.socket(path, CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue))
        // Nobody answered, so it is what the last router left behind; it could not know that it was the last.
        _ = unlink(path)
        // Whoever may connect can take visitors away: nobody but our own user.
        guard UnixSocketAddress(path: path)?.bind(descriptor) == true, chmod(path, 0o600) == 0,
            Glibc.listen(descriptor, 16) == 0
        else {
            let failure = Self.failure(path)
            _ = Glibc.close(descriptor)
            throw failure
        }
        return descriptor
    }

    private static func lock(_ path: String) throws(ListenError) -> CInt {
        let descriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path + ".lock") }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else {
                let failure = Self.failure(path + ".lock")
                _ = Glibc.close(descriptor)
                throw failure
            }
        }
        return descriptor
    }

    private static func socket(_ path: String, _ flags: CInt) throws(ListenError) -> CInt {
        let descriptor = Glibc.socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue) | flags, 0)
        guard descriptor >= 0 else { throw Self.failure(path) }
        return descriptor
    }

    private static func failure(_ path: String) -> ListenError {
        ListenError(address: path, problem: ListeningSocket.errorText(errno))
    }
}

/// Listening sockets that came from another process, found by what they are bound to.
struct InheritedSockets {
    private var descriptors: [SocketName: CInt] = [:]

    /// Owns `descriptor` from now on; what is no listening socket is closed.
    mutating func add(_ descriptor: CInt) {
        var listens: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0, listens != 0,
            let name = SocketName(descriptor), self.descriptors[name] == nil
        else {
            _ = Glibc.close(descriptor)
            return
        }
        self.descriptors[name] = descriptor
    }

    /// The socket that is bound to `name`; the caller's from now on.
    mutating func take(_ name: SocketName?) -> CInt? { name.flatMap { self.descriptors.removeValue(forKey: $0) } }

    /// Closes those that nobody wanted.
    mutating func closeRest() {
        for descriptor in self.descriptors.values { _ = Glibc.close(descriptor) }
        self.descriptors = [:]
    }
}

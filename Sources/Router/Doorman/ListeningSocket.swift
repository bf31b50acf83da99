import Glibc
import Settings
import Sockets

/// One listening stream socket, non-blocking and close-on-exec.
///
/// A plain value: whoever has it last calls `close`.
struct ListeningSocket: Sendable {
    /// Connections the kernel keeps for us until they are accepted; the system's `somaxconn` may lower it.
    static let backlog: CInt = 4096

    let descriptor: CInt
    /// As bound: with the port the system chose.
    let address: ListenAddress
    /// The socket file we made and therefore remove.
    private var ownPath: String?
    /// Browsers speak TLS here.
    var isSecure = false

    private init(descriptor: CInt, address: ListenAddress, ownPath: String?) {
        self.descriptor = descriptor
        self.address = address
        self.ownPath = ownPath
    }

    /// Opens every socket `address` stands for: one, or one for each address of a host name or interface.
    ///
    /// - Parameters:
    ///   - file: of a Unix socket.
    ///   - inherited: sockets of another router that are taken instead of new ones, where they are bound to the same.
    /// - Throws: `ListenError`; nothing stays open then.
    static func open(
        _ address: ListenAddress, file: SocketFile = SocketFile(), inherited: inout InheritedSockets
    ) throws(ListenError) -> [ListeningSocket] {
        switch address {
        case .tcp(let host, let port):
            guard host.hasPrefix("%") else { return try Self.openTCP(host: host, port: port, &inherited) }
            return try Self.openInterface(String(host.dropFirst()), port: port, &inherited)
        case .unix(let path):
            if let descriptor = inherited.take(SocketName(path: path)) {
                return [ListeningSocket(descriptor: descriptor, address: address, ownPath: nil)]
            }
            return [try Self.openUnix(path: path, file)]
        case .descriptor(let number): return [try Self.adopt(number)]
        }
    }

    static func open(_ address: ListenAddress, file: SocketFile = SocketFile()) throws(ListenError) -> [ListeningSocket]
    {
        var none = InheritedSockets()
        return try Self.open(address, file: file, inherited: &none)
    }

    /// Whether it was made for an address, and not inherited by number from whoever started the process.
    var isOfAnAddress: Bool { if case .descriptor = self.address { false } else { true } }

    /// Leaves the file it made when it is closed: other routers may have the same socket.
    mutating func leaveFile() { self.ownPath = nil }

    /// Closes the socket and removes the file it made.
    func close() {
        _ = Glibc.close(self.descriptor)
        if let path = self.ownPath { _ = unlink(path) }
    }

    // MARK: TCP

    private static func openTCP(
        host: String, port: Int, _ inherited: inout InheritedSockets
    ) throws(ListenError) -> [ListeningSocket] {
        let name = ListenAddress.tcp(host: host, port: port).description
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, "\(port)", &hints, &found)
        guard result == 0 else {
            throw ListenError(address: name, problem: String(cString: gai_strerror(result)))
        }
        defer { freeaddrinfo(found) }
        var sockets: [ListeningSocket] = []
        var entry = found
        while let info = entry?.pointee, let socketAddress = info.ai_addr {
            do throws(ListenError) {
                if let descriptor = inherited.take(SocketName(socketAddress, info.ai_addrlen)) {
                    sockets.append(
                        ListeningSocket(descriptor: descriptor, address: .tcp(host: host, port: port), ownPath: nil))
                } else {
                    sockets.append(
                        try Self.bind(info.ai_family, socketAddress, info.ai_addrlen, host: host, name: name))
                }
            } catch {
                sockets.forEach { $0.close() }
                throw error
            }
            // A free port is free on one address; the others of the name would get others.
            entry = port == 0 ? nil : info.ai_next
        }
        return sockets
    }

    /// One socket for each address that the interface has now.
    private static func openInterface(
        _ name: String, port: Int, _ inherited: inout InheritedSockets
    ) throws(ListenError) -> [ListeningSocket] {
        let asked = ListenAddress.tcp(host: "%" + name, port: port).description
        let hosts = NetworkInterface.addresses(of: name)
        guard !hosts.isEmpty else {
            throw ListenError(address: asked, problem: "this host has no interface \(name) with an address")
        }
        var sockets: [ListeningSocket] = []
        for host in hosts {
            do throws(ListenError) {
                sockets += try Self.openTCP(host: host, port: port, &inherited)
            } catch {
                sockets.forEach { $0.close() }
                throw error
            }
            if port == 0 { break }
        }
        return sockets
    }

    private static func bind(
        _ family: CInt, _ socketAddress: UnsafeMutablePointer<sockaddr>, _ length: socklen_t, host: String, name: String
    ) throws(ListenError) -> ListeningSocket {
        let descriptor = try Self.make(family, name: name)
        // Accepted sockets inherit no-delay and keep-alive on Linux, which saves two calls for each.
        Self.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        Self.set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
        Self.set(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
        // So that 0.0.0.0 and [::] can both be listed.
        if family == AF_INET6 { Self.set(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        guard Glibc.bind(descriptor, socketAddress, length) == 0, listen(descriptor, Self.backlog) == 0 else {
            throw Self.failure(descriptor, name)
        }
        guard let port = Self.boundPort(descriptor) else { throw Self.failure(descriptor, name) }
        return ListeningSocket(descriptor: descriptor, address: .tcp(host: host, port: port), ownPath: nil)
    }

    private static func boundPort(_ descriptor: CInt) -> Int? {
        var storage = sockaddr_storage()
        guard Self.getAddress(descriptor, &storage) else { return nil }
        return withUnsafeBytes(of: storage) { raw in
            switch CInt(storage.ss_family) {
            case AF_INET: Int(UInt16(bigEndian: raw.loadUnaligned(as: sockaddr_in.self).sin_port))
            case AF_INET6: Int(UInt16(bigEndian: raw.loadUnaligned(as: sockaddr_in6.self).sin6_port))
            default: nil
            }
        }
    }

    private static func getAddress(_ descriptor: CInt, _ storage: inout sockaddr_storage) -> Bool {
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { raw in
            guard let base = raw.baseAddress else { return false }
            return getsockname(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
        }
    }

    // MARK: Unix

    private static func openUnix(path: String, _ file: SocketFile) throws(ListenError) -> ListeningSocket {
        let name = ListenAddress.unix(path: path).description
        guard let address = UnixSocketAddress(path: path) else {
            throw ListenError(address: name, problem: "the path is longer than \(UnixSocketAddress.pathBytes) bytes")
        }
        let descriptor = try Self.make(AF_UNIX, name: name)
        if !address.bind(descriptor) {
            guard errno == EADDRINUSE, try Self.isLeftOver(address, name: name) else {
                throw Self.failure(descriptor, name)
            }
            _ = unlink(path)
            guard address.bind(descriptor) else { throw Self.failure(descriptor, name) }
        }
        // Before it listens, so that nobody gets in who may not.
        if let problem = file.apply(to: path) {
            _ = Glibc.close(descriptor)
            _ = unlink(path)
            throw ListenError(address: name, problem: problem)
        }
        guard listen(descriptor, Self.backlog) == 0 else { throw Self.failure(descriptor, name) }
        return ListeningSocket(descriptor: descriptor, address: .unix(path: path), ownPath: path)
    }

    /// Whether nobody listens behind the socket file any more.
    private static func isLeftOver(_ address: UnixSocketAddress, name: String) throws(ListenError) -> Bool {
        let probe = try Self.make(AF_UNIX, name: name)
        defer { _ = Glibc.close(probe) }
        if address.connect(probe) {
            errno = EADDRINUSE
            return false
        }
        let refused = errno == ECONNREFUSED
        errno = EADDRINUSE
        return refused
    }

    // MARK: Inherited

    private static func adopt(_ descriptor: CInt) throws(ListenError) -> ListeningSocket {
        let name = ListenAddress.descriptor(descriptor).description
        var listens: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 else {
            throw ListenError(address: name, problem: "not a socket (\(Self.errorText(errno)))")
        }
        guard listens != 0 else { throw ListenError(address: name, problem: "the socket does not listen") }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var storage = sockaddr_storage()
        if Self.getAddress(descriptor, &storage), CInt(storage.ss_family) != AF_UNIX {
            Self.set(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
        }
        return ListeningSocket(descriptor: descriptor, address: .descriptor(descriptor), ownPath: nil)
    }

    // MARK: Shared

    private static func make(_ family: CInt, name: String) throws(ListenError) -> CInt {
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw ListenError(address: name, problem: Self.errorText(errno)) }
        return descriptor
    }

    private static func set(_ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: CInt) {
        var value = value
        _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
    }

    private static func failure(_ descriptor: CInt, _ name: String) -> ListenError {
        let problem = Self.errorText(errno)
        _ = Glibc.close(descriptor)
        return ListenError(address: name, problem: problem)
    }

    static func errorText(_ code: CInt) -> String { String(cString: strerror(code)) }
}

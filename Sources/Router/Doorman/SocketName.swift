import Glibc
import NIOCore

/// What a listening socket is bound to; equal names are the same place.
struct SocketName: Hashable, Sendable {
    private let address: SocketAddress

    /// `nil` for what is neither TCP nor a Unix socket with a file.
    init?(_ descriptor: CInt) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let found = withUnsafeMutableBytes(of: &storage) { raw in
            raw.baseAddress.map { getsockname(descriptor, $0.assumingMemoryBound(to: sockaddr.self), &length) == 0 }
        }
        guard found == true else { return nil }
        self.init(storage)
    }

    /// As `getaddrinfo` has it.
    init?(_ pointer: UnsafePointer<sockaddr>, _ length: socklen_t) {
        var storage = sockaddr_storage()
        guard Int(length) <= MemoryLayout<sockaddr_storage>.size else { return nil }
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: Int(length)))
        }
        self.init(storage)
    }

    init?(path: String) {
        guard let address = try? SocketAddress(unixDomainSocketPath: path) else { return nil }
        self.address = address
    }

    private init?(_ storage: sockaddr_storage) {
        let address: SocketAddress? = withUnsafeBytes(of: storage) { raw in
            switch CInt(storage.ss_family) {
            case AF_INET: SocketAddress(raw.loadUnaligned(as: sockaddr_in.self))
            case AF_INET6: SocketAddress(raw.loadUnaligned(as: sockaddr_in6.self))
            case AF_UNIX: SocketAddress(raw.loadUnaligned(as: sockaddr_un.self))
            default: nil
            }
        }
        guard let address, address.pathname != "" else { return nil }
        self.address = address
    }
}

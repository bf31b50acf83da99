import Glibc
package import HTTP1
package import NIOCore

/// A connection that was accepted and belongs to nobody yet.
package struct Visitor: Sendable {
    package var descriptor: CInt
    package var peer: Peer
    /// When its first request's head must have come.
    package var deadline: NIODeadline
    /// It speaks TLS.
    package var isSecure = false

    /// The same with another deadline.
    func given(until deadline: NIODeadline) -> Visitor {
        var visitor = self
        visitor.deadline = deadline
        return visitor
    }
}

extension Peer {
    /// - Parameter storage: as `accept` filled it.
    init(_ storage: sockaddr_storage) {
        self = withUnsafeBytes(of: storage) { raw in
            switch CInt(storage.ss_family) {
            case AF_INET: Peer(SocketAddress(raw.loadUnaligned(as: sockaddr_in.self)))
            case AF_INET6: Peer(SocketAddress(raw.loadUnaligned(as: sockaddr_in6.self)))
            default: .unix
            }
        }
    }
}

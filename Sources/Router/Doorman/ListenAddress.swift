package import Upstream

/// Where the router listens.
package enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// A TCP port on one interface; port 0 takes a free one. A host name listens on each of its addresses.
    case tcp(host: String, port: Int)
    /// A Unix stream socket. A file left over by a dead process is replaced, one of a living process is not.
    case unix(path: String)
    /// A listening stream socket that was inherited; it is closed at the end, its file (if any) stays.
    case descriptor(CInt)

    /// Reads `http://HOST:PORT`, `unix:///PATH` or `fd://N`.
    ///
    /// - Throws: an error that says what was wanted.
    package init(parsing text: String) throws(UpstreamAddressError) {
        if text.hasPrefix("fd://") {
            guard let number = CInt(text.dropFirst(5)), number >= 0 else {
                throw UpstreamAddressError(text: text, problem: "fd:// is followed by a descriptor number, such as fd://0")
            }
            self = .descriptor(number)
            return
        }
        switch try UpstreamAddress(parsing: text, allowsPortZero: true) {
        case .tcp(let host, let port): self = .tcp(host: host, port: port)
        case .unix(let path): self = .unix(path: path)
        }
    }

    package var description: String {
        switch self {
        case .tcp(let host, let port): UpstreamAddress.tcp(host: host, port: port).description
        case .unix(let path): "unix://\(path)"
        case .descriptor(let number): "fd://\(number)"
        }
    }
}

/// An address that cannot be listened on: which, and why.
package struct ListenError: Error, CustomStringConvertible, Sendable {
    package var address: String
    package var problem: String

    package var description: String { "cannot listen on \(self.address): \(self.problem)" }
}

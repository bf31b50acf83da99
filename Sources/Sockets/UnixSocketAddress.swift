import Glibc

/// A Unix socket's path in the form system calls want.
package struct UnixSocketAddress {
    /// The longest path, in bytes (without the closing zero).
    package static let pathBytes = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private var raw = sockaddr_un()

    /// `nil` when `path` is empty, has a zero byte, or is longer than `pathBytes`.
    package init?(path: String) {
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= Self.pathBytes, !bytes.contains(0) else { return nil }
        self.raw.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &self.raw.sun_path) { $0.copyBytes(from: bytes) }
    }

    /// Whether `bind` worked; `errno` says why not.
    package func bind(_ descriptor: CInt) -> Bool { self.with { Glibc.bind(descriptor, $0, $1) == 0 } }

    /// Whether `connect` worked; `errno` says why not.
    package func connect(_ descriptor: CInt) -> Bool { self.with { Glibc.connect(descriptor, $0, $1) == 0 } }

    private func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: self.raw) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

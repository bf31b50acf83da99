import Glibc
import Settings

/// What a gateway listens on, to be passed to another one.
struct ListeningSockets: Sendable {
    struct Listener: Sendable {
        /// As it was asked for.
        var address: ListenAddress
        var descriptor: CInt
    }

    /// Where routers hand sockets over.
    struct Handoff: Sendable {
        var path: String
        var listener: CInt
        /// Routers that are connected.
        var routers: [CInt]
    }

    var listeners: [Listener] = []
    var handoff: Handoff?
    /// Where the gateway that comes next asks.
    var takeover: CInt?

    /// - Returns: the socket of an address, which is the caller's then.
    mutating func take(_ address: ListenAddress) -> CInt? {
        guard let place = self.listeners.firstIndex(where: { $0.address == address }) else { return nil }
        return self.listeners.remove(at: place).descriptor
    }

    /// - Returns: the sockets of a path, which are the caller's then.
    mutating func takeHandoff(at path: String) -> Handoff? {
        guard self.handoff?.path == path else { return nil }
        defer { self.handoff = nil }
        return self.handoff
    }

    mutating func closeAll() {
        if let takeover = self.takeover { close(takeover) }
        for listener in self.listeners { close(listener.descriptor) }
        for descriptor in (self.handoff.map { [$0.listener] + $0.routers } ?? []) { close(descriptor) }
        self = ListeningSockets()
    }
}

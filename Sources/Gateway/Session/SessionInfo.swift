import ChannelLayer
import HTTP1
import NIOCore

/// What was found out about a browser when it was let in.
final class SessionInfo {
    let route: GatewayRoute
    let plan: RouteConfiguration.Plan
    /// The user it is counted under.
    private(set) var user: String?
    let address: IPAddress?
    let isCounted: Bool
    let wire: Wire
    /// Where browsers choose their channels.
    let transport: ClientTransport?
    private let kept: KeptHandshake
    /// What the connection opens with; taken once.
    private(set) var opening: ByteBuffer

    init(
        route: GatewayRoute, plan: RouteConfiguration.Plan, user: String?, address: IPAddress?, isCounted: Bool,
        opening: ByteBuffer, wire: Wire, transport: ClientTransport?, handshake: Handshake?
    ) {
        self.route = route
        self.plan = plan
        self.user = user
        self.address = address
        self.isCounted = isCounted
        self.opening = opening
        self.wire = wire
        self.transport = transport
        self.kept = handshake.map { .whole($0) } ?? .nothing
    }

    /// Kept only where workers are asked with the handshake's credentials.
    var handshake: Handshake? { if case .whole(let handshake) = self.kept { handshake } else { nil } }

    /// Who it is was found out after it was let in.
    func identify(_ user: String) { self.user = user }

    func takeOpening() -> ByteBuffer {
        defer { self.opening = ByteBuffer() }
        return self.opening
    }
}

/// In a box of its own when it is there: an optional handshake would be 130 bytes of every session, and few keep one.
private enum KeptHandshake {
    case nothing
    indirect case whole(Handshake)
}

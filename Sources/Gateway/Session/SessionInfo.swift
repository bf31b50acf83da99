import ChannelLayer
import HTTP1
import NIOCore

/// What was found out about a browser when it was let in.
final class SessionInfo {
    let route: GatewayRoute
    let plan: RouteConfiguration.Plan
    /// The user it is counted under.
    let user: String?
    let address: IPAddress?
    let isCounted: Bool
    let wire: Wire
    /// Kept only where workers are asked with the handshake's credentials.
    let handshake: Handshake?
    /// What the connection opens with; taken once.
    private(set) var opening: ByteBuffer

    init(
        route: GatewayRoute, plan: RouteConfiguration.Plan, user: String?, address: IPAddress?, isCounted: Bool,
        opening: ByteBuffer, wire: Wire, handshake: Handshake?
    ) {
        self.route = route
        self.plan = plan
        self.user = user
        self.address = address
        self.isCounted = isCounted
        self.opening = opening
        self.wire = wire
        self.handshake = handshake
    }

    func takeOpening() -> ByteBuffer {
        defer { self.opening = ByteBuffer() }
        return self.opening
    }
}

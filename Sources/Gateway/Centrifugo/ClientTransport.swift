/// How one connection of the protocol is made, as its handshake says.
struct ClientTransport: Hashable, Sendable {
    /// Protobuf; JSON without it.
    var isProtobuf = false
    /// Pings are WebSocket's own instead of the protocol's.
    var hasNativePings = false

    /// What `Sec-WebSocket-Protocol` offers of ours.
    private static let subprotocols = ["centrifuge-json", "centrifuge-protobuf"]

    init() {}

    init(_ handshake: Handshake) {
        switch Self.subprotocol(of: handshake) {
        case let subprotocol?: self.isProtobuf = subprotocol == "centrifuge-protobuf"
        case nil:
            self.isProtobuf = ["cf_protocol", "format"].contains { handshake.queryItem($0) == "protobuf" }
        }
        self.hasNativePings = handshake.queryItem("cf_ws_frame_ping_pong") == "true"
    }

    var form: ClientForm { self.isProtobuf ? .protobuf : [] }

    /// The subprotocol that is answered: the first of those offered that is ours.
    static func subprotocol(of handshake: Handshake) -> String? {
        handshake.subprotocols.first(where: Self.subprotocols.contains)
    }
}

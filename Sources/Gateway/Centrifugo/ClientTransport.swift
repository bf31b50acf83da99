/// What is served below the gateway's prefix for browsers that choose their channels. The raw value is how the setting
/// calls it.
package enum ClientPath: String, Hashable, Sendable, CaseIterable {
    case webSocket = "websocket"
    /// The answer to a POST that goes on and on; what the browser says comes in requests of their own.
    case httpStream = "http_stream"
    /// The same as `text/event-stream`.
    case eventStream = "sse"
    /// These only tell: the browser says everything when it connects.
    case unidirectionalWebSocket = "uni_websocket"
    case unidirectionalHTTPStream = "uni_http_stream"
    case unidirectionalEventStream = "uni_sse"
    /// Answers `{}`, for the cookies of what stands before the gateways.
    case initialization = "init"
    /// What browsers with a stream say. It is there when a stream is.
    case emulation

    /// Below the gateway's prefix.
    var path: String { self == .emulation ? "emulation" : "connection/" + self.rawValue }

    var isWebSocket: Bool { self == .webSocket || self == .unidirectionalWebSocket }

    var isUnidirectional: Bool {
        switch self {
        case .unidirectionalWebSocket, .unidirectionalHTTPStream, .unidirectionalEventStream: true
        case .webSocket, .httpStream, .eventStream, .initialization, .emulation: false
        }
    }

    /// What the browser says comes by `emulation`.
    var needsEmulation: Bool { self == .httpStream || self == .eventStream }
}

/// How one connection of the protocol is made, as its handshake says.
struct ClientTransport: Hashable, Sendable {
    var path = ClientPath.webSocket
    /// Protobuf; JSON without it.
    var isProtobuf = false
    /// Pings are WebSocket's own instead of the protocol's.
    var hasNativePings = false

    /// What `Sec-WebSocket-Protocol` offers of ours.
    private static let subprotocols = ["centrifuge-json", "centrifuge-protobuf"]

    init() {}

    init(_ handshake: Handshake, on path: ClientPath) {
        self.path = path
        switch path {
        case .webSocket, .unidirectionalWebSocket:
            switch Self.subprotocol(of: handshake) {
            case let subprotocol?: self.isProtobuf = subprotocol == "centrifuge-protobuf"
            case nil:
                self.isProtobuf = ["cf_protocol", "format"].contains { handshake.queryItem($0) == "protobuf" }
            }
            self.hasNativePings =
                path == .webSocket && handshake.queryItem("cf_ws_frame_ping_pong") == "true"
        case .httpStream, .unidirectionalHTTPStream:
            self.isProtobuf = Self.saysProtobuf(handshake)
        case .eventStream, .unidirectionalEventStream, .initialization, .emulation: break
        }
    }

    /// Whether a request's body is Protobuf.
    static func saysProtobuf(_ handshake: Handshake) -> Bool {
        let type = handshake.head.fields["Content-Type"] ?? ""
        return type.prefix { $0 != ";" }.trimmingSpaces().lowercased() == "application/octet-stream"
    }

    var form: ClientForm {
        var form: ClientForm = []
        if self.isProtobuf { form.insert(.protobuf) }
        if self.path.isUnidirectional { form.insert(.bare) }
        return form
    }

    /// Pings are answered by the browser, in one way or another.
    var hasPongs: Bool { !self.path.isUnidirectional || self.path.isWebSocket }

    /// The subprotocol that is answered: the first of those offered that is ours.
    static func subprotocol(of handshake: Handshake) -> String? {
        handshake.subprotocols.first(where: Self.subprotocols.contains)
    }
}

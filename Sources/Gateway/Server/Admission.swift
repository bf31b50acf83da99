import ChannelLayer
import HTTP1
import NIOCore

/// A handshake on its way through: who is it, which groups, are they heard. Lives until the connection is let in.
///
/// Whatever was counted or acquired is given back by `undo`, or by the session when it ends.
final class Admission {
    enum Outcome {
        case accepted(SessionInfo)
        /// The route wants refused browsers accepted and then closed, so that they come back.
        case acceptedToClose(SessionInfo, Refusal)
        case refused(Answer)
    }

    private let context: GatewayContext
    private let route: GatewayRoute
    private let handshake: Handshake
    private let opening: Opening
    /// What the browser has said already: the body of its request.
    let first: ByteBuffer?
    private var plan: RouteConfiguration.Plan?
    private var isCounted = false
    private var countedUser: String?

    init(
        context: GatewayContext, route: GatewayRoute, handshake: Handshake, opening: Opening, first: ByteBuffer? = nil
    ) {
        self.context = context
        self.route = route
        self.handshake = handshake
        self.opening = opening
        self.first = first
    }

    /// - Parameter completion: called once, on the shard's loop, perhaps at once.
    func run(on shard: HubShard, completion: @escaping (Outcome) -> Void) {
        do throws(Refusal) {
            try self.context.check(self.handshake, on: self.route)
            try self.context.count(self.handshake.client.address)
            self.isCounted = true
        } catch {
            completion(self.refuse(error, on: shard))
            return
        }
        self.route.authenticator.identify(self.handshake, on: shard.eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let identity): self.identified(identity, on: shard, completion: completion)
            case .failure(let error):
                let refusal = error as? Refusal ?? Refusal(.authenticationUnavailable, "\(error)")
                completion(self.refuse(refusal, on: shard))
            }
        }
    }

    private func identified(_ identity: Identity, on shard: HubShard, completion: @escaping (Outcome) -> Void) {
        let plan: RouteConfiguration.Plan
        do throws(Refusal) {
            if let user = identity.user {
                try self.context.count(user: user)
                self.countedUser = user
            }
            plan = try self.route.configuration.plan(for: self.handshake, identity: identity)
        } catch {
            completion(self.refuse(error, on: shard))
            return
        }
        shard.acquire(plan.groups) { error in
            guard let error else {
                self.plan = plan
                completion(.accepted(self.info(plan)))
                return
            }
            let refusal = Refusal(.layerUnavailable, "groups cannot be followed: \(error)")
            completion(self.refuse(refusal, on: shard))
        }
    }

    private func refuse(_ refusal: Refusal, on shard: HubShard) -> Outcome {
        self.undo(on: shard)
        self.context.refused(refusal, self.handshake)
        if self.route.configuration.refusal == .close, case .webSocket = self.opening {
            return .acceptedToClose(self.info(RouteConfiguration.Plan(groups: [], receiver: .drop)), refusal)
        }
        return .refused(
            Answer.refusal(
                refusal.status, refusal.reason.rawValue, refusal.closeReason, fields: refusal.retryFields,
                isLocal: self.handshake.client.isOnThisHost(self.handshake.head.fields)))
    }

    /// Gives back what was taken. Once; further calls do nothing.
    func undo(on shard: HubShard) {
        if self.isCounted { self.context.uncount(self.handshake.client.address, user: self.countedUser) }
        if let plan = self.plan { shard.release(plan.groups) }
        self.isCounted = false
        self.countedUser = nil
        self.plan = nil
    }

    private func info(_ plan: RouteConfiguration.Plan) -> SessionInfo {
        let subprotocol =
            self.route.client == nil
            ? self.handshake.subprotocolForToken : ClientTransport.subprotocol(of: self.handshake)
        return SessionInfo(
            route: self.route, plan: plan, user: self.countedUser, address: self.handshake.client.address,
            isCounted: self.isCounted,
            opening: self.opening.answer(self.context, self.handshake, subprotocol: subprotocol),
            wire: self.opening.wire, transport: self.route.clientPath.map { ClientTransport(self.handshake, on: $0) },
            handshake: plan.receiver.needsHandshake || self.route.client?.proxies.isEmpty == false
                ? self.handshake : nil)
    }
}

extension Refusal {
    fileprivate var retryFields: [(String, String)] { self.status == 503 ? [("Retry-After", "2")] : [] }
}

/// How a connection opens once it is admitted.
enum Opening {
    case webSocket(key: String, compression: CompressionAgreement?)
    case eventStream
    case client(ClientTransport)

    var wire: Wire {
        switch self {
        case .webSocket(_, nil): .webSocket
        case .webSocket(_, let agreement?): .webSocketDeflate(windowBits: agreement.windowBits)
        case .eventStream: .eventStream
        case .client(let transport):
            [.eventStream, .unidirectionalEventStream].contains(transport.path) ? .clientEvents : .clientStream
        }
    }

    /// What is written first.
    func answer(_ context: GatewayContext, _ handshake: Handshake, subprotocol: String?) -> ByteBuffer {
        var bytes = ByteBuffer()
        switch self {
        case .webSocket(let key, let compression):
            WebSocketHandshake.writeAnswer(
                to: key, subprotocol: subprotocol, compression: compression, into: &bytes)
        case .eventStream:
            // The stream ends with the connection. nginx must not collect it, nor anybody keep it.
            let fields = [
                ("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"),
                ("Connection", "close"),
            ]
            // A page of another origin was let in: without these its browser would hide the stream from it, as it does
            // not for a WebSocket.
            bytes.writeResponseHead(
                ResponseHead(
                    version: .http11, status: 200, fields: HeaderFields(fields + CORS.fields(for: handshake.head))))
            bytes.writeString("retry: \(context.configuration.eventStreamRetry)\n\n")
        case .client(let transport):
            let isEvents = self.wire == .clientEvents
            let type =
                isEvents ? "text/event-stream" : transport.isProtobuf ? "application/octet-stream" : "application/json"
            let fields = [("Content-Type", type)] + CORS.uncached + [("Connection", "close")]
            bytes.writeResponseHead(
                ResponseHead(
                    version: .http11, status: 200, fields: HeaderFields(fields + CORS.fields(for: handshake.head))))
            if isEvents { bytes.writeStaticString("\r\n") }
        }
        return bytes
    }
}

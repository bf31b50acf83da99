import HTTP1
import JSON
import NIOCore

/// The HTTP of the protocol beside WebSocket's: streams, what browsers with a stream say, and what a browser asks before.
struct ClientRequest {
    let context: GatewayContext
    let route: GatewayRoute
    let path: ClientPath
    let head: RequestHead
    let client: ClientAddress

    private var handshake: Handshake { Handshake(head: self.head, kind: .eventStream, client: self.client) }

    func request() -> GatewayContext.Request {
        switch (self.path, self.head.method) {
        case (_, "OPTIONS"): return self.checked { .answer(Answer.empty(204, fields: self.preflight())) }
        case (.initialization, "GET"):
            return self.checked {
                .answer(
                    Answer(
                        status: 200, fields: CORS.fields(for: self.head) + CORS.uncached,
                        contentType: "application/json", body: ByteBuffer(string: "{}")))
            }
        case (.emulation, "POST"): return self.checked { self.body { self.emulate($0) } }
        case (.httpStream, "POST"), (.unidirectionalHTTPStream, "POST"), (.eventStream, "POST"),
            (.unidirectionalEventStream, "POST"):
            return self.body { self.open($0) }
        case (.eventStream, "GET"), (.unidirectionalEventStream, "GET"):
            return self.open(ByteBuffer(string: self.handshake.queryItem("cf_connect") ?? ""))
        default:
            return .answer(
                self.refuse(RequestFault(405, .wrongMethod, "Use \(self.methods) here."), [("Allow", self.methods)]))
        }
    }

    private var methods: String {
        switch self.path {
        case .eventStream, .unidirectionalEventStream: "GET, POST, OPTIONS"
        case .initialization: "GET, OPTIONS"
        case .webSocket, .unidirectionalWebSocket, .httpStream, .unidirectionalHTTPStream, .emulation: "POST, OPTIONS"
        }
    }

    // MARK: Parts of it

    /// Refuses pages that may not connect.
    private func checked(_ request: () -> GatewayContext.Request) -> GatewayContext.Request {
        do throws(Refusal) {
            try self.context.check(self.handshake, on: self.route)
        } catch {
            self.context.refused(error, self.handshake)
            return .answer(
                Answer.refusal(
                    error.status, error.reason.rawValue, error.closeReason,
                    isLocal: self.client.isOnThisHost(self.head.fields)))
        }
        return request()
    }

    private func preflight() -> [(String, String)] {
        guard self.head.fields["Origin"] != nil else { return [("Allow", self.methods)] }
        var fields = CORS.fields(for: self.head)
        fields.append(("Access-Control-Max-Age", "300"))
        fields.append(("Access-Control-Allow-Methods", self.methods))
        return fields
    }

    private func body(_ complete: @escaping (ByteBuffer) -> GatewayContext.Request) -> GatewayContext.Request {
        do throws(HTTP1Error) {
            let decoder = BodyDecoder(
                framing: try self.head.framing(), limit: self.context.configuration.session.messageLimit)
            return .collect(RequestBody(decoder, expects: self.head.fields["Expect"] != nil, complete))
        } catch {
            return .answer(self.refuse(RequestFault(error.status, .badRequest, error.message)))
        }
    }

    private func open(_ connect: ByteBuffer) -> GatewayContext.Request {
        let handshake = self.handshake
        let transport = ClientTransport(handshake, on: self.path)
        return .admit(
            Admission(
                context: self.context, route: self.route, handshake: handshake, opening: .client(transport),
                first: connect))
    }

    private func refuse(_ fault: RequestFault, _ fields: [(String, String)] = []) -> Answer {
        self.context.refuse(fault, self.head, from: self.client, fields: fields)
    }

    // MARK: Emulation

    private func emulate(_ body: ByteBuffer) -> GatewayContext.Request {
        guard let said = EmulatedCommands(body, isProtobuf: ClientTransport.saysProtobuf(self.handshake)) else {
            return .answer(self.refuse(RequestFault(400, .badRequest, "Wanted session, node and data.")))
        }
        guard said.node == self.context.control.node || ControlPost.isNode(said.node) else {
            return .answer(self.refuse(RequestFault(404, .noRoute, "There is no such node.")))
        }
        self.context.emulate(said)
        return .answer(Answer.empty(204, fields: CORS.fields(for: self.head)))
    }
}

/// What a page of another origin needs to see of an answer (the Fetch standard, CORS).
enum CORS {
    /// For a page that was let in.
    static func fields(for head: RequestHead) -> [(String, String)] {
        guard let origin = head.fields["Origin"] else { return [] }
        var fields = [
            ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin"),
        ]
        if let headers = head.fields["Access-Control-Request-Headers"] {
            fields.append(("Access-Control-Allow-Headers", headers))
        }
        return fields
    }

    /// Nobody keeps the answer, and nginx does not collect it.
    static let uncached = [
        ("Cache-Control", "private, no-cache, no-store, must-revalidate, max-age=0"), ("Pragma", "no-cache"),
        ("Expires", "0"), ("X-Accel-Buffering", "no"),
    ]
}

/// A request's body on its way in.
struct RequestBody {
    private var decoder: BodyDecoder
    private var bytes = ByteBuffer()
    /// The client waits to be told that its body is wanted.
    let expects: Bool
    private let complete: (ByteBuffer) -> GatewayContext.Request

    init(_ decoder: BodyDecoder, expects: Bool, _ complete: @escaping (ByteBuffer) -> GatewayContext.Request) {
        self.decoder = decoder
        self.expects = expects
        self.complete = complete
    }

    /// What the request is once its body is there; `nil` until then.
    mutating func take(_ input: inout ByteBuffer) throws(HTTP1Error) -> GatewayContext.Request? {
        while let part = try self.decoder.next(&input) {
            switch part {
            case .bytes(var piece): self.bytes.writeBuffer(&piece)
            case .end: return self.complete(self.bytes)
            }
        }
        return nil
    }
}

import ChannelLayer
import HTTP1
import JSON
import NIOCore

/// What concerns connections: commands to all gateways, and questions to them.
extension ServerAPI {
    // MARK: Commands

    func subscribe(_ selector: ConnectionSelector, _ wanted: APISubscription) throws(APIError) -> Outcome {
        let channel = try self.look(up: wanted.channel).channel
        var subscription = ServerSubscription(channel: channel.text)
        subscription.info = try Self.payload(wanted.info, wanted.base64Info)
        subscription.data = try Self.payload(wanted.data, wanted.base64)
        subscription.expires = wanted.expires
        subscription.since = wanted.since.map { ($0.offset, $0.epoch) }
        if let override = wanted.override {
            guard override.isObject else { throw .badRequest }
            subscription.override = override.bytes
        }
        return try self.tell(.subscribe(selector, subscription), selector)
    }

    func unsubscribe(_ selector: ConnectionSelector, _ channel: String) throws(APIError) -> Outcome {
        if !channel.isEmpty { _ = try self.look(up: channel) }
        return try self.tell(.unsubscribe(selector, channel: channel), selector)
    }

    func disconnect(
        _ selector: ConnectionSelector, sparing: [String], _ code: Int64, _ reason: String
    ) throws(APIError) -> Outcome {
        // Codes that a WebSocket's application may close with, and what fits into a close frame.
        guard sparing.count <= 10_000, sparing.allSatisfy(Self.isShort), code == 0 || (3_000...4_999).contains(code),
            reason.utf8.count <= 123
        else {
            throw .badRequest
        }
        // Force disconnect.
        let (code, reason) = code == 0 ? (3_503, "force disconnect") : (UInt16(code), reason)
        return try self.tell(.disconnect(selector, sparing: sparing, code: code, reason: reason), selector)
    }

    func refresh(
        _ selector: ConnectionSelector, isExpired: Bool, expires: Int64, info: JSONText?
    ) throws(APIError) -> Outcome {
        var refresh = ConnectionRefresh()
        refresh.isExpired = isExpired
        refresh.expires = expires
        refresh.info = info?.bytes
        return try self.tell(.refresh(selector, refresh), selector)
    }

    private func tell(_ command: ControlCommand, _ selector: ConnectionSelector) throws(APIError) -> Outcome {
        guard [selector.user, selector.client, selector.session].allSatisfy(Self.isShort) else { throw .badRequest }
        let message = ControlMessage.command(command)
        // What a gateway would pass over is not sent.
        guard ControlMessage(message.message) == message else { throw .badRequest }
        let pending = self.cluster.tell(command, until: .now() + self.layerTimeout)
        return {
            if let error = pending() { return .failure(self.explain(error, nil)) }
            return .success(.emptyObject)
        }
    }

    /// What users, clients and the like are called: at most 256 characters.
    static func isShort(_ text: String) -> Bool { text.unicodeScalars.count <= 256 }

    /// JSON, or the JSON that base64 stands for.
    private static func payload(_ json: JSONText?, _ base64: String) throws(APIError) -> ByteBuffer? {
        guard !base64.isEmpty else { return json?.bytes }
        guard let bytes = Base64.decode(base64.utf8), let text = try? JSONText(validating: ByteBuffer(bytes: bytes))
        else { throw .badRequest }
        return text.bytes
    }

    // MARK: Questions

    func info() -> Outcome {
        let pending = self.survey(.node)
        return {
            pending().map { answers in
                let nodes = answers.compactMap { if case .node(let state) = $0 { state } else { nil } }
                var json = ByteBuffer(string: #"{"nodes":["#)
                for (index, node) in nodes.sorted(by: { ($0.name, $0.uid) < ($1.name, $1.uid) }).enumerated() {
                    if index > 0 { json.writeStaticString(",") }
                    json.writeNode(node)
                }
                json.writeStaticString("]}")
                return json
            }
        }
    }

    func channels(matching pattern: String) throws(APIError) -> Outcome {
        guard Self.isShort(pattern) else { throw .badRequest }
        let pending = self.survey(.channels(pattern: pattern))
        return {
            pending().map { answers in
                var channels: [String: Int] = [:]
                for case .channels(let counts) in answers {
                    channels.merge(counts) { $0.addingReportingOverflow($1).partialValue }
                }
                var json = ByteBuffer(string: #"{"channels":"#)
                json.writeObject(
                    channels.sorted { $0.key < $1.key }.map {
                        ($0.key, ByteBuffer(string: #"{"num_clients":\#($0.value)}"#))
                    })
                json.writeStaticString("}")
                return json
            }
        }
    }

    /// - Parameter expression: a condition in the language of Centrifugo PRO, whose method this is; there is none here.
    func connections(of user: String, _ expression: String) throws(APIError) -> Outcome {
        guard Self.isShort(user) else { throw .badRequest }
        guard expression.isEmpty else { throw .notAvailable }
        let pending = self.survey(.connections(user: user))
        return {
            pending().map { answers in
                var clients: [(key: String, value: ByteBuffer)] = []
                for case .clients(let some) in answers { clients.append(contentsOf: some) }
                var json = ByteBuffer(string: #"{"connections":"#)
                json.writeObject(clients.sorted { $0.key < $1.key })
                json.writeStaticString("}")
                return json
            }
        }
    }

    /// Asks all gateways. What waits for them gives an error when they could not be asked.
    func survey(_ question: SurveyQuestion) -> () -> Result<[SurveyAnswer], APIError> {
        let pending = self.cluster.ask(question, until: .now() + self.surveyTimeout)
        return { pending().map { .success(Array($0.values)) } ?? .failure(.internal) }
    }
}

extension ByteBuffer {
    fileprivate mutating func writeNode(_ node: NodeState) {
        self.writeStaticString(#"{"uid":"#)
        self.writeJSONString(node.uid)
        self.writeStaticString(#","name":"#)
        self.writeJSONString(node.name)
        self.writeStaticString(#","version":"#)
        self.writeJSONString(node.version)
        self.writeString(
            #","num_clients":\#(node.clients),"num_users":\#(node.users),"num_channels":\#(node.channels),"#
                + #""num_subs":\#(node.subscriptions),"uptime":\#(node.uptime)}"#)
    }
}

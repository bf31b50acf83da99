import JSON
import NIOCore

// How control messages travel: flat maps of texts, numbers and flags, which every serializer of every layer can say. JSON
// and bytes are texts in them.

extension ControlMessage {
    /// Reads a message of the group or of an answer's channel.
    ///
    /// - Returns: `nil` for what is no control message, is one of a later version, or is malformed: all to be passed over.
    package init?(_ message: LayerMessage) {
        guard message.type == Self.type else { return nil }
        do throws(ControlFields.Fault) {
            guard let read = try Self.read(ControlFields(message)) else { return nil }
            self = read
        } catch {
            return nil
        }
    }

    private static func read(_ fields: ControlFields) throws(ControlFields.Fault) -> ControlMessage? {
        let command = try fields.text("command")
        guard let name = Name(rawValue: command) else {
            guard command == Self.answerName, let answer = try SurveyAnswer(fields) else { return nil }
            return .answer(id: try fields.integer("id", UInt64.self), node: try fields.required("node"), answer)
        }
        switch name {
        case .subscribe: return .command(.subscribe(try .init(fields), try .init(fields)))
        case .unsubscribe: return .command(.unsubscribe(try .init(fields), channel: try fields.text("channel")))
        case .disconnect:
            return .command(
                .disconnect(
                    try .init(fields), sparing: try fields.texts("whitelist", limit: 10_000),
                    code: try fields.integer("code", UInt16.self), reason: try fields.text("reason", limit: 123)))
        case .refresh: return .command(.refresh(try .init(fields), try .init(fields)))
        case .ask:
            guard let question = try SurveyQuestion(fields), let channel = try? ChannelName(fields.text("reply_to")),
                channel.localPart != nil
            else { return nil }
            return .ask(id: try fields.integer("id", UInt64.self), replyTo: channel, question)
        case .announce: return .announce(try NodeState(fields))
        case .leave: return .leave(node: try fields.required("node"))
        }
    }

    /// The carried form.
    package var message: LayerMessage {
        var message = LayerMessage()
        message.add("type", Self.type)
        switch self {
        case .command(let command): command.write(to: &message)
        case .ask(let id, let channel, let question):
            message.add("command", ControlMessage.Name.ask.rawValue)
            message.add("id", id)
            message.add("reply_to", channel.text)
            question.write(to: &message)
        case .answer(let id, let node, let answer):
            message.add("command", Self.answerName)
            message.add("id", id)
            message.add("node", node)
            answer.write(to: &message)
        case .announce(let state):
            message.add("command", ControlMessage.Name.announce.rawValue)
            state.write(to: &message)
        case .leave(let node):
            message.add("command", ControlMessage.Name.leave.rawValue)
            message.add("node", node)
        }
        return message
    }
}

extension ControlCommand {
    fileprivate func write(to message: inout LayerMessage) {
        switch self {
        case .subscribe(let selector, let subscription):
            message.add("command", ControlMessage.Name.subscribe.rawValue)
            selector.write(to: &message)
            subscription.write(to: &message)
        case .unsubscribe(let selector, let channel):
            message.add("command", ControlMessage.Name.unsubscribe.rawValue)
            selector.write(to: &message)
            message.add("channel", channel)
        case .disconnect(let selector, let spared, let code, let reason):
            message.add("command", ControlMessage.Name.disconnect.rawValue)
            selector.write(to: &message)
            if !spared.isEmpty { message.append("whitelist", .array(spared.map(LayerValue.string))) }
            message.add("code", code)
            message.add("reason", reason)
        case .refresh(let selector, let refresh):
            message.add("command", ControlMessage.Name.refresh.rawValue)
            selector.write(to: &message)
            message.add("expired", refresh.isExpired)
            message.add("expire_at", refresh.expires)
            message.add("info", json: refresh.info)
        }
    }
}

extension ConnectionSelector {
    fileprivate init(_ fields: ControlFields) throws(ControlFields.Fault) {
        self.init(
            user: try fields.text("user"), client: try fields.text("client"), session: try fields.text("session"))
    }

    fileprivate func write(to message: inout LayerMessage) {
        message.add("user", self.user)
        message.add("client", self.client)
        message.add("session", self.session)
    }
}

extension ServerSubscription {
    fileprivate init(_ fields: ControlFields) throws(ControlFields.Fault) {
        self.init(channel: try fields.required("channel"))
        self.info = try fields.json("info")
        self.data = try fields.json("data")
        self.expires = try fields.integer("expire_at", Int64.self)
        if try fields.flag("recover") {
            self.since = (try fields.integer("offset", UInt64.self), try fields.text("epoch"))
        }
        self.override = try fields.json("override", isObject: true)
    }

    fileprivate func write(to message: inout LayerMessage) {
        message.add("channel", self.channel)
        message.add("info", json: self.info)
        message.add("data", json: self.data)
        message.add("expire_at", self.expires)
        if let since = self.since {
            message.add("recover", true)
            message.add("offset", since.offset)
            message.add("epoch", since.epoch)
        }
        message.add("override", json: self.override)
    }
}

extension ConnectionRefresh {
    fileprivate init(_ fields: ControlFields) throws(ControlFields.Fault) {
        self.init()
        self.isExpired = try fields.flag("expired")
        self.expires = try fields.integer("expire_at", Int64.self)
        self.info = try fields.json("info")
    }
}

extension SurveyQuestion {
    fileprivate init?(_ fields: ControlFields) throws(ControlFields.Fault) {
        switch try fields.text("question") {
        case "node": self = .node
        case "channels": self = .channels(pattern: try fields.text("pattern"))
        case "connections":
            self = .connections(user: try fields.flag("all_users") ? nil : try fields.text("user"))
        case "presence": self = .presence(channel: try fields.required("channel"))
        default: return nil
        }
    }

    fileprivate func write(to message: inout LayerMessage) {
        switch self {
        case .node: message.add("question", "node")
        case .channels(let pattern):
            message.add("question", "channels")
            message.add("pattern", pattern)
        case .connections(let user):
            message.add("question", "connections")
            message.add("all_users", user == nil)
            message.add("user", user ?? "")
        case .presence(let channel):
            message.add("question", "presence")
            message.add("channel", channel)
        }
    }
}

extension SurveyAnswer {
    fileprivate init?(_ fields: ControlFields) throws(ControlFields.Fault) {
        switch try fields.text("question") {
        case "node": self = .node(try NodeState(fields))
        case "channels":
            var counts: [String: Int] = [:]
            for (channel, value) in try fields.map("channels", limit: Self.limit) {
                guard case .int(let count) = value, count > 0 else { throw ControlFields.Fault(key: "channels") }
                counts[channel] = Int(count)
            }
            self = .channels(counts)
        case "clients":
            var clients: [String: ByteBuffer] = [:]
            for (client, value) in try fields.map("clients", limit: Self.limit) {
                guard case .string(let text) = value,
                    let json = try? JSONText(validating: ByteBuffer(string: text)), json.isObject
                else { throw ControlFields.Fault(key: "clients") }
                clients[client] = json.bytes
            }
            self = .clients(clients)
        default: return nil
        }
    }

    fileprivate func write(to message: inout LayerMessage) {
        switch self {
        case .node(let state):
            message.add("question", "node")
            state.write(to: &message)
        case .channels(let counts):
            message.add("question", "channels")
            message.append(
                "channels",
                .map(counts.prefix(Self.limit).map { .init(key: .string($0.key), value: .int(Int64($0.value))) }))
        case .clients(let clients):
            message.add("question", "clients")
            message.append(
                "clients",
                .map(
                    clients.prefix(Self.limit).map {
                        .init(key: .string($0.key), value: .string(String(buffer: $0.value)))
                    }))
        }
    }
}

extension NodeState {
    fileprivate init(_ fields: ControlFields) throws(ControlFields.Fault) {
        self.init(
            uid: try fields.required("uid"), name: try fields.text("name"), version: try fields.text("version"))
        self.clients = try fields.count("clients")
        self.users = try fields.count("users")
        self.channels = try fields.count("channels")
        self.subscriptions = try fields.count("subscriptions")
        self.uptime = try fields.count("uptime")
    }

    fileprivate func write(to message: inout LayerMessage) {
        message.add("uid", self.uid)
        message.add("name", self.name)
        message.add("version", self.version)
        message.add("clients", self.clients)
        message.add("users", self.users)
        message.add("channels", self.channels)
        message.add("subscriptions", self.subscriptions)
        message.add("uptime", self.uptime)
    }
}

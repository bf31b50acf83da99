import ChannelLayer

/// How entries travel: arrays of few values, since there are many.
///
///     {"type": "carillon.lifecycle", "node": N, "time": ms, "facts": [["c", client, user, transport], ["d", client, code], …]}
///     … ["m", client], ["f", channel], ["l", channel]
///     … "state": [[[client, user, transport], …], [channel, …]]   "gone": true   "tick": true   "taken": number
///
/// and `"serial": number` in what a gateway says of itself.
extension LifecycleEntry {
    static let messageType = "carillon.lifecycle"

    var message: LayerMessage {
        var message: LayerMessage = [
            "type": .string(Self.messageType), "node": .string(self.node), "time": .int(self.time),
        ]
        let (key, value): (String, LayerValue) =
            switch self.content {
            case .facts(let facts): ("facts", .array(facts.map(\.layerValue)))
            case .state(let state): ("state", state.layerValue)
            case .gone: ("gone", .bool(true))
            case .tick: ("tick", .bool(true))
            case .taken(let number): ("taken", .int(Int64(clamping: number)))
            }
        message.entries.append(.init(key: .string(key), value: value))
        if self.serial > 0 {
            message.entries.append(.init(key: .string("serial"), value: .int(Int64(clamping: self.serial))))
        }
        return message
    }

    /// `nil` for what is no entry: whoever may write to the broker can put anything there.
    init?(_ message: LayerMessage) {
        guard message.type == Self.messageType, case .string(let node)? = message["node"],
            case .int(let time)? = message["time"], let content = Content(message)
        else { return nil }
        self.init(node: node, time: time, content: content)
        if case .int(let serial)? = message["serial"] { self.serial = UInt64(clamping: serial) }
    }
}

extension LifecycleEntry.Content {
    fileprivate init?(_ message: LayerMessage) {
        if case .array(let facts)? = message["facts"] {
            self = .facts(facts.compactMap(LifecycleFact.init))
        } else if let value = message["state"] {
            guard let state = LifecycleState(value) else { return nil }
            self = .state(state)
        } else if message["gone"] != nil {
            self = .gone
        } else if message["tick"] != nil {
            self = .tick
        } else if case .int(let number)? = message["taken"], let number = UInt64(exactly: number) {
            self = .taken(number)
        } else {
            return nil
        }
    }
}

extension LifecycleFact {
    fileprivate var layerValue: LayerValue {
        switch self {
        case .connected(let client, let what):
            .array([.string("c"), .string(client), .string(what.user), .string(what.transport)])
        case .disconnected(let client, let code): .array([.string("d"), .string(client), .int(Int64(code))])
        case .moved(let client): .array([.string("m"), .string(client)])
        case .followed(let channel): .array([.string("f"), .string(channel)])
        case .left(let channel): .array([.string("l"), .string(channel)])
        }
    }

    fileprivate init?(_ value: LayerValue) {
        guard case .array(let parts) = value, case .string(let kind)? = parts.first, parts.count > 1,
            case .string(let name) = parts[1]
        else { return nil }
        switch (kind, parts.count) {
        case ("c", 4):
            guard case .string(let user) = parts[2], case .string(let transport) = parts[3] else { return nil }
            self = .connected(name, LifecycleClient(user: user, transport: transport))
        case ("d", 3):
            guard case .int(let code) = parts[2], let code = UInt16(exactly: code) else { return nil }
            self = .disconnected(name, code: code)
        case ("m", 2): self = .moved(name)
        case ("f", 2): self = .followed(name)
        case ("l", 2): self = .left(name)
        default: return nil
        }
    }
}

extension LifecycleState {
    var layerValue: LayerValue {
        let clients = self.clients.map { client, what in
            LayerValue.array([.string(client), .string(what.user), .string(what.transport)])
        }
        return .array([.array(clients), .array(self.channels.sorted().map { .string($0) })])
    }

    init?(_ value: LayerValue) {
        guard case .array(let parts) = value, parts.count == 2, case .array(let clients) = parts[0],
            case .array(let channels) = parts[1]
        else { return nil }
        self.init()
        for client in clients {
            guard case .array(let texts) = client, texts.count == 3, case .string(let name) = texts[0],
                case .string(let user) = texts[1], case .string(let transport) = texts[2]
            else { return nil }
            self.apply(.connected(name, LifecycleClient(user: user, transport: transport)))
        }
        for channel in channels {
            guard case .string(let name) = channel else { return nil }
            self.apply(.followed(name))
        }
    }
}

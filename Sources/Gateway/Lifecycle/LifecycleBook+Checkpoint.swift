import ChannelLayer

/// The book as it is kept in the layer, so that whoever goes on has to read no more of the stream than what came since.
extension LifecycleBook {
    static let checkpointType = "carillon.lifecycle.checkpoint"

    var checkpoint: LayerMessage {
        let nodes = self.nodes.sorted { $0.key < $1.key }.map { name, node in
            LayerValue.array([
                .string(name), .bool(node.isSure), node.state.layerValue, .int(Int64(clamping: node.serial)),
            ])
        }
        return [
            "type": .string(Self.checkpointType), "stream": .string(self.stream),
            "at": .int(Int64(clamping: self.position.offset)), "life": .string(self.position.epoch),
            "time": .int(self.time), "nodes": .array(nodes),
            "endings": .array(self.openEndings.map(self.layerValue(of:))),
            "taken": .int(Int64(clamping: self.outbox.taken)), "first": .int(Int64(clamping: self.outbox.first)),
            "waiting": .array(self.outbox.events.map(\.layerValue)),
        ]
    }

    /// `nil` for what is none.
    init?(checkpoint message: LayerMessage) {
        guard message.type == Self.checkpointType, case .string(let stream)? = message["stream"],
            case .int(let offset)? = message["at"], let offset = UInt64(exactly: offset),
            case .string(let epoch)? = message["life"], case .int(let time)? = message["time"],
            case .array(let nodes)? = message["nodes"], case .array(let endings)? = message["endings"],
            case .int(let taken)? = message["taken"], let taken = UInt64(exactly: taken),
            case .int(let first)? = message["first"], let first = UInt64(exactly: first), first > 0,
            case .array(let waiting)? = message["waiting"]
        else { return nil }
        var known: [String: Node] = [:]
        for value in nodes {
            guard case .array(let parts) = value, parts.count == 4, case .string(let name) = parts[0],
                case .bool(let isSure) = parts[1], let state = LifecycleState(parts[2]),
                case .int(let serial) = parts[3], let serial = UInt64(exactly: serial)
            else { return nil }
            known[name] = Node(state: state, isSure: isSure, serial: serial)
        }
        self.init(
            stream: stream, position: StreamPosition(offset: offset, epoch: epoch), time: time, nodes: known,
            endings: endings.compactMap(Ending.init), moves: Dictionary(endings.compactMap(Move.named)) { $1 },
            outbox: LifecycleOutbox(taken: taken, first: first, waiting: waiting.compactMap(LifecycleEvent.init)))
    }
}

extension LifecycleBook {
    /// `[time, "u", user]`, `[time, "c", channel]`, and of a connection that moves `[time, "m", client, node, user]`.
    private func layerValue(of ending: Ending) -> LayerValue {
        switch ending.thing {
        case .user(let name): return .array([.int(ending.time), .string("u"), .string(name)])
        case .channel(let name): return .array([.int(ending.time), .string("c"), .string(name)])
        case .client(let name):
            let move = self.moves[name]
            return .array([
                .int(ending.time), .string("m"), .string(name), .string(move?.node ?? ""), .string(move?.user ?? ""),
            ])
        }
    }
}

extension LifecycleBook.Ending {
    fileprivate init?(_ value: LayerValue) {
        guard case .array(let parts) = value, parts.count >= 3, case .int(let time) = parts[0],
            case .string(let kind) = parts[1], case .string(let name) = parts[2]
        else { return nil }
        switch kind {
        case "u": self.init(time: time, thing: .user(name))
        case "c": self.init(time: time, thing: .channel(name))
        case "m": self.init(time: time, thing: .client(name))
        default: return nil
        }
    }
}

extension LifecycleBook.Move {
    fileprivate static func named(_ value: LayerValue) -> (String, Self)? {
        guard case .array(let parts) = value, parts.count == 5, case .int(let end) = parts[0],
            parts[1] == .string("m"), case .string(let client) = parts[2], case .string(let node) = parts[3],
            case .string(let user) = parts[4]
        else { return nil }
        return (client, Self(node: node, user: user, end: end))
    }
}

extension LifecycleEvent {
    fileprivate var layerValue: LayerValue {
        .array([
            .string(self.kind.rawValue), .int(self.time), .int(Int64(self.code)), .string(self.node),
            .string(self.client), .string(self.user), .string(self.transport), .string(self.channel),
        ])
    }

    fileprivate init?(_ value: LayerValue) {
        guard case .array(let parts) = value, parts.count == 8, case .string(let kind) = parts[0],
            let kind = Kind(rawValue: kind), case .int(let time) = parts[1], case .int(let code) = parts[2],
            let code = UInt16(exactly: code), case .string(let node) = parts[3], case .string(let client) = parts[4],
            case .string(let user) = parts[5], case .string(let transport) = parts[6],
            case .string(let channel) = parts[7]
        else { return nil }
        self.init(
            kind: kind, time: time, node: node, client: client, user: user, transport: transport, channel: channel,
            code: code)
    }
}

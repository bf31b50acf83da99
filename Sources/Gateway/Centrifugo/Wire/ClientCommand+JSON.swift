import ChannelLayer
import JSON
import NIOCore

extension ClientCommand {
    private enum Name: String, CaseIterable {
        // In the order that decides when a command has several.
        case connect, subscribe, unsubscribe, publish, presence
        case presenceStats = "presence_stats"
        case history, rpc, send, refresh
        case refreshSubscription = "sub_refresh"
        case ping
    }

    private static let wanted = Set(Name.allCases.map(\.rawValue) + ["id"])

    /// - Throws: `JSONError` for what is no command: no object, a field of another type, a number out of bounds.
    init(decoding line: ByteBuffer) throws(JSONError) {
        let fields = try ClientFields(line, wanted: Self.wanted)
        let id = try fields.integer("id", UInt32.self)
        guard let name = Name.allCases.first(where: { fields[$0.rawValue] != nil }),
            let parameters = fields[name.rawValue]
        else {
            self.init(id: id, nil)
            return
        }
        self.init(id: id, try Self.method(name, ClientFields(parameters.bytes, wanted: nil)))
    }

    private static func method(_ name: Name, _ fields: ClientFields) throws(JSONError) -> Method {
        switch name {
        case .connect: return .connect(try Connect(fields))
        case .subscribe: return .subscribe(try Subscribe(fields))
        case .unsubscribe: return .unsubscribe(channel: try fields.string("channel"))
        case .publish: return .publish(channel: try fields.string("channel"), data: fields.data("data"))
        case .presence: return .presence(channel: try fields.string("channel"))
        case .presenceStats: return .presenceStats(channel: try fields.string("channel"))
        case .history: return .history(try History(fields))
        case .rpc: return .rpc(method: try fields.string("method"), data: fields.data("data"))
        case .send: return .send(data: fields.data("data"))
        case .refresh: return .refresh(token: try fields.string("token"))
        case .refreshSubscription:
            return .refreshSubscription(channel: try fields.string("channel"), token: try fields.string("token"))
        case .ping: return .ping
        }
    }
}

extension ClientCommand.Connect {
    /// Of a `connect` command, or of what opens a unidirectional stream.
    init(_ fields: ClientFields) throws(JSONError) {
        self.token = try fields.string("token")
        self.data = fields.data("data")
        if let subscriptions = try fields.object("subs") {
            for channel in subscriptions.values.keys {
                self.subscriptions[channel] = try subscriptions.object(channel).map(ClientCommand.Since.init)
            }
        }
        self.name = try fields.string("name")
        self.version = try fields.string("version")
        if let headers = try fields.object("headers") {
            for header in headers.values.keys { self.headers[header] = try headers.string(header) }
        }
        self.flag = try fields.integer("flag", Int64.self)
    }
}

extension ClientCommand.Since {
    fileprivate init(_ fields: ClientFields) throws(JSONError) {
        self.recovers = try fields.bool("recover")
        self.position = try StreamPosition(fields)
    }
}

extension StreamPosition {
    fileprivate init(_ fields: ClientFields) throws(JSONError) {
        self.init(offset: try fields.integer("offset", UInt64.self), epoch: try fields.string("epoch"))
    }
}

extension ClientCommand.Subscribe {
    fileprivate init(_ fields: ClientFields) throws(JSONError) {
        self.channel = try fields.string("channel")
        self.token = try fields.string("token")
        self.since = try ClientCommand.Since(fields)
        self.data = fields.data("data")
        self.wantsPositioning = try fields.bool("positioned")
        self.wantsRecovery = try fields.bool("recoverable")
        self.wantsJoinLeave = try fields.bool("join_leave")
        self.delta = try fields.string("delta")
        if let filter = fields["tf"] { self.filter = try ClientFilter(JSONValue(parsing: filter.bytes)) }
        self.flag = try fields.integer("flag", Int64.self)
        self.kind = try fields.integer("type", Int64.self)
    }
}

extension ClientCommand.History {
    fileprivate init(_ fields: ClientFields) throws(JSONError) {
        self.channel = try fields.string("channel")
        self.limit = try fields.integer("limit", Int32.self)
        self.since = try fields.object("since").map(StreamPosition.init)
        self.isReverse = try fields.bool("reverse")
    }
}

extension ClientFilter {
    /// Recursion is bounded by how deeply JSON may be nested.
    fileprivate init(_ json: JSONValue) throws(JSONError) {
        guard case .object(let members) = json.kind else { throw JSONError("tf: expected an object", at: json.offset) }
        for member in members {
            switch member.key {
            case "op": self.op = try Self.text(member.value)
            case "key": self.key = try Self.text(member.value)
            case "cmp": self.comparison = try Self.text(member.value)
            case "val": self.value = try Self.text(member.value)
            case "vals": self.values = try Self.list(member.value, Self.text)
            case "nodes": self.nodes = try Self.list(member.value, ClientFilter.init)
            default: break
            }
        }
    }

    private static func text(_ json: JSONValue) throws(JSONError) -> String {
        switch json.kind {
        case .string(let text): return text
        case .null: return ""
        default: throw JSONError("tf: expected a text", at: json.offset)
        }
    }

    private static func list<Element>(
        _ json: JSONValue, _ element: (JSONValue) throws(JSONError) -> Element
    ) throws(JSONError) -> [Element] {
        switch json.kind {
        case .array(let elements):
            var list: [Element] = []
            for each in elements { list.append(try element(each)) }
            return list
        case .null: return []
        default: throw JSONError("tf: expected a list", at: json.offset)
        }
    }
}

import ChannelLayer
import JSON
import NIOCore

/// What is known of a connection by the Centrifugo client protocol, beside its session: who it is, and where it stands in
/// each of its channels. A value; its bytes belong to the takeover protocol's version (`TakeoverMessage.version`).
///
/// Not in it: what its namespaces say, which the new gateway reads from its own settings; a command under way, with which
/// nobody moves; what the next patch would be for, so that the next publication goes out whole.
struct ClientSnapshot: Equatable, Sendable {
    struct Subscription: Equatable, Sendable {
        var channel: String
        /// What counts for it, whether by the namespace or by a token.
        var overrides: ChannelOverrides
        var isServerSide: Bool
        var info: ClientData?
        var expires: Int64?
        var isRecoverable: Bool
        var hearsJoinLeave: Bool
        var form: ClientForm
        var filter: ClientFilter?
        /// Stands for the channel's name, where that was agreed on.
        var number: Int64
        /// Where the browser's position is watched.
        var place: Place?
    }

    /// How far a stream was told.
    struct Place: Equatable, Sendable {
        /// The newest publication that the browser has.
        var known: UInt64
        /// The newest one that the gateway has handed on; older than `known` when what was read came before what was heard.
        var position: StreamPosition
    }

    var client: String
    /// `ClientSession.secret`.
    var secret: String
    var transport: ClientTransport
    /// Without what only the answer to `connect` says; of its channels only the names count still.
    var credentials: ClientCredentials
    var headers: [String: String]
    var awaitsPong: Bool
    var subscriptions: [Subscription]
}

extension ClientSnapshot {
    func write(into bytes: inout ByteBuffer) {
        bytes.writeField(self.client)
        bytes.writeField(self.secret)
        bytes.writeField(self.transport.path.rawValue)
        bytes.writeField(self.transport.isProtobuf)
        bytes.writeField(self.transport.hasNativePings)
        bytes.writeField(self.credentials.user)
        self.credentials.info.write(into: &bytes)
        bytes.writeField(self.credentials.meta?.bytes ?? ByteBuffer())
        bytes.writeField(self.credentials.expires)
        bytes.writeField(self.credentials.channels.keys.sorted())
        bytes.writeField(self.credentials.isAnswer)
        bytes.writeField(self.headers.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] })
        bytes.writeField(self.awaitsPong)
        bytes.writeInteger(UInt32(clamping: self.subscriptions.count))
        for subscription in self.subscriptions { subscription.write(into: &bytes) }
    }

    init(reading bytes: inout ByteBuffer) throws(SnapshotError) {
        self.client = try bytes.stringField()
        self.secret = try bytes.stringField()
        self.transport = ClientTransport()
        let path = try bytes.stringField()
        guard let known = ClientPath(rawValue: path) else { throw SnapshotError("\(path) is no transport") }
        self.transport.path = known
        self.transport.isProtobuf = try bytes.boolField()
        self.transport.hasNativePings = try bytes.boolField()
        self.credentials = ClientCredentials()
        self.credentials.user = try bytes.stringField()
        self.credentials.info = try ClientData?(reading: &bytes)
        let meta = try bytes.bytesField()
        self.credentials.meta = meta.readableBytes > 0 ? try JSONText(snapshot: meta) : nil
        self.credentials.expires = try bytes.optionalIntegerField()
        for name in try bytes.stringsField() { self.credentials.channels[name] = SubscriptionGrant() }
        self.credentials.isAnswer = try bytes.boolField()
        self.headers = [:]
        let headers = try bytes.stringsField()
        for index in stride(from: 0, to: headers.count - 1, by: 2) { self.headers[headers[index]] = headers[index + 1] }
        self.awaitsPong = try bytes.boolField()
        self.subscriptions = []
        // Each takes bytes, so that a wild count ends soon.
        for _ in 0..<(try bytes.integerField(as: UInt32.self)) {
            self.subscriptions.append(try Subscription(reading: &bytes))
        }
    }
}

extension ClientSnapshot.Subscription {
    fileprivate func write(into bytes: inout ByteBuffer) {
        bytes.writeField(self.channel)
        for each in self.overrides.all { bytes.writeInteger(each.map { $0 ? UInt8(1) : 0 } ?? 2) }
        bytes.writeField(self.isServerSide)
        self.info.write(into: &bytes)
        bytes.writeField(self.expires)
        bytes.writeField(self.isRecoverable)
        bytes.writeField(self.hearsJoinLeave)
        bytes.writeInteger(self.form.rawValue)
        bytes.writeField(self.filter != nil)
        self.filter?.write(into: &bytes)
        bytes.writeInteger(self.number)
        bytes.writeField(self.place != nil)
        guard let place = self.place else { return }
        bytes.writeMultipleIntegers(place.known, place.position.offset)
        bytes.writeField(place.position.epoch)
    }

    fileprivate init(reading bytes: inout ByteBuffer) throws(SnapshotError) {
        self.channel = try bytes.stringField()
        var overrides: [Bool?] = []
        for _ in 0..<ChannelOverrides.count {
            let byte = try bytes.integerField(as: UInt8.self)
            overrides.append(byte < 2 ? byte == 1 : nil)
        }
        self.overrides = ChannelOverrides(all: overrides)
        self.isServerSide = try bytes.boolField()
        self.info = try ClientData?(reading: &bytes)
        self.expires = try bytes.optionalIntegerField()
        self.isRecoverable = try bytes.boolField()
        self.hearsJoinLeave = try bytes.boolField()
        self.form = ClientForm(rawValue: try bytes.integerField())
        var room = TagsFilter.nodeLimit
        self.filter = try bytes.boolField() ? try ClientFilter(reading: &bytes, &room) : nil
        self.number = try bytes.integerField()
        self.place = nil
        guard try bytes.boolField() else { return }
        let known = try bytes.integerField(as: UInt64.self)
        let offset = try bytes.integerField(as: UInt64.self)
        self.place = .init(known: known, position: StreamPosition(offset: offset, epoch: try bytes.stringField()))
    }
}

extension ChannelOverrides {
    fileprivate static let count = 5

    fileprivate var all: [Bool?] {
        [self.presence, self.joinLeave, self.forcePushJoinLeave, self.forcePositioning, self.forceRecovery]
    }

    /// - Parameter all: as `all` has them; what is missing is left to the namespace.
    fileprivate init(all: [Bool?]) {
        var all = all[...]
        self.presence = all.popFirst() ?? nil
        self.joinLeave = all.popFirst() ?? nil
        self.forcePushJoinLeave = all.popFirst() ?? nil
        self.forcePositioning = all.popFirst() ?? nil
        self.forceRecovery = all.popFirst() ?? nil
    }
}

extension ClientFilter {
    fileprivate func write(into bytes: inout ByteBuffer) {
        for text in [self.op, self.key, self.comparison, self.value] { bytes.writeField(text) }
        bytes.writeField(self.values)
        bytes.writeInteger(UInt32(clamping: self.nodes.count))
        for node in self.nodes { node.write(into: &bytes) }
    }

    /// - Parameter room: nodes that may come still, and with them the depth.
    fileprivate init(reading bytes: inout ByteBuffer, _ room: inout Int) throws(SnapshotError) {
        room -= 1
        guard room >= 0 else { throw SnapshotError("a filter has too many nodes") }
        self.init()
        self.op = try bytes.stringField()
        self.key = try bytes.stringField()
        self.comparison = try bytes.stringField()
        self.value = try bytes.stringField()
        self.values = try bytes.stringsField()
        for _ in 0..<(try bytes.integerField(as: UInt32.self)) {
            self.nodes.append(try ClientFilter(reading: &bytes, &room))
        }
    }
}

extension ClientData? {
    fileprivate func write(into bytes: inout ByteBuffer) {
        switch self {
        case nil: bytes.writeInteger(UInt8(0))
        case .json(let text)?:
            bytes.writeInteger(UInt8(1))
            bytes.writeField(text.bytes)
        case .bytes(let data)?:
            bytes.writeInteger(UInt8(2))
            bytes.writeField(data)
        }
    }

    fileprivate init(reading bytes: inout ByteBuffer) throws(SnapshotError) {
        switch try bytes.integerField(as: UInt8.self) {
        case 0: self = nil
        case 1: self = .json(try JSONText(snapshot: try bytes.bytesField()))
        case 2: self = .bytes(try bytes.bytesField())
        case let number: throw SnapshotError("\(number) is no kind of data")
        }
    }
}

extension JSONText {
    fileprivate init(snapshot bytes: ByteBuffer) throws(SnapshotError) {
        guard let text = try? JSONText(validating: bytes) else { throw SnapshotError("a text is no JSON") }
        self = text
    }
}

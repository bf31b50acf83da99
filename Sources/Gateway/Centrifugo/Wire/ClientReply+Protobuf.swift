import ChannelLayer
import ClientWire
import FoundationEssentials
import NIOCore
import SwiftProtobuf

extension ClientReply {
    var message: WireReply {
        var wire = WireReply()
        wire.id = self.id
        switch self.result {
        case .error(let error):
            wire.error.code = error.code
            wire.error.message = error.message
            wire.error.temporary = error.isTemporary
        case .connect(let connected): wire.connect = WireConnectResult(connected)
        case .subscribe(let subscribed): wire.subscribe = WireSubscribeResult(subscribed)
        case .unsubscribe: wire.unsubscribe = WireUnsubscribeResult()
        case .publish: wire.publish = WirePublishResult()
        case .presence(let clients): wire.presence.presence = clients.mapValues(WireClientInfo.init)
        case .presenceStats(let clients, let users):
            wire.presenceStats = WirePresenceStatsResult()
            wire.presenceStats.numClients = clients
            wire.presenceStats.numUsers = users
        case .history(let publications, let top):
            wire.history.publications = publications.map { WirePublication($0, withData: true) }
            wire.history.epoch = top.epoch
            wire.history.offset = top.offset
        case .rpc(let data): wire.rpc.data = Data(data)
        case .refresh(let client, let ttl):
            wire.refresh.client = client
            wire.refresh.version = ClientConnected.version
            wire.refresh.expires = ttl != nil
            wire.refresh.ttl = ttl ?? 0
        case .refreshSubscription(let ttl):
            wire.subRefresh.expires = ttl != nil
            wire.subRefresh.ttl = ttl ?? 0
        }
        return wire
    }
}

extension ClientPush {
    var message: WirePush {
        var wire = WirePush()
        if self.number == 0 { wire.channel = self.channel } else { wire.id = self.number }
        switch self.event {
        case .publication(let publication): wire.pub = WirePublication(publication, withData: true)
        case .join(let info): wire.join.info = WireClientInfo(info)
        case .leave(let info): wire.leave.info = WireClientInfo(info)
        case .unsubscribe(let code, let reason):
            wire.unsubscribe.code = code
            wire.unsubscribe.reason = reason
        case .subscribe(let subscribed):
            wire.subscribe.recoverable = subscribed.isRecoverable
            wire.subscribe.positioned = subscribed.isPositioned
            wire.subscribe.epoch = subscribed.position?.epoch ?? ""
            wire.subscribe.offset = subscribed.position?.offset ?? 0
            wire.subscribe.data = Data(subscribed.data)
        case .message(let data): wire.message.data = Data(data)
        case .connect(let connected): wire.connect = WireConnect(connected)
        case .disconnect(let reason):
            wire.disconnect.code = UInt32(reason.rawValue)
            wire.disconnect.reason = reason.reason
        case .refresh(let ttl):
            wire.refresh.expires = ttl != nil
            wire.refresh.ttl = ttl ?? 0
        }
        return wire
    }
}

extension [ClientPublication] {
    /// What a `SubscribeResult` has of them, written. As unknown fields the generated code carries it over byte for byte.
    var written: UnknownStorage {
        var subscribed = WireSubscribeResult()
        subscribed.publications = self.map { WirePublication($0, withData: true) }
        // A message without fields knows none of them.
        return (try? WireUnsubscribeResult(serializedBytes: subscribed.bytes))?.unknownFields ?? UnknownStorage()
    }
}

extension ClientPublication {
    /// Its message without the data.
    var fieldsBesideData: [UInt8] {
        guard self.info != nil || self.offset != 0 || !self.tags.isEmpty || self.isDelta || self.time != 0 else {
            return []
        }
        return WirePublication(self, withData: false).bytes
    }
}

extension SwiftProtobuf.Message {
    /// Without fields of version 2 that must be set, writing cannot fail.
    var bytes: [UInt8] { (try? self.serializedBytes()) ?? [] }
}

/// What a connection is told of itself: the schema has it twice, with other numbers in a reply than in a push.
private protocol WireConnected {
    init()
    var client: String { get set }
    var version: String { get set }
    var expires: Bool { get set }
    var ttl: UInt32 { get set }
    var data: Data { get set }
    var subs: [String: WireSubscribeResult] { get set }
    var ping: UInt32 { get set }
    var pong: Bool { get set }
    var session: String { get set }
    var node: String { get set }
    var time: Int64 { get set }
}

extension WireConnectResult: WireConnected {}
extension WireConnect: WireConnected {}

extension WireConnected {
    fileprivate init(_ connected: ClientConnected) {
        self.init()
        self.client = connected.client
        self.version = ClientConnected.version
        self.expires = connected.ttl != nil
        self.ttl = connected.ttl ?? 0
        self.data = Data(connected.data)
        self.subs = connected.subscriptions.mapValues(WireSubscribeResult.init)
        self.ping = connected.ping ?? 0
        self.pong = connected.wantsPong
        self.session = connected.session
        self.node = connected.node
        self.time = connected.time ?? 0
    }
}

extension WireSubscribeResult {
    fileprivate init(_ subscribed: ClientSubscribed) {
        self.init()
        self.expires = subscribed.ttl != nil
        self.ttl = subscribed.ttl ?? 0
        self.recoverable = subscribed.isRecoverable
        self.positioned = subscribed.isPositioned
        self.epoch = subscribed.position?.epoch ?? ""
        self.offset = subscribed.position?.offset ?? 0
        self.publications = subscribed.publications.map { WirePublication($0, withData: true) }
        if case .protobuf(let fields)? = subscribed.written { self.unknownFields = fields }
        self.recovered = subscribed.isRecovered
        self.wasRecovering = subscribed.wasRecovering
        self.data = Data(subscribed.data)
        self.delta = subscribed.isDelta
        self.id = subscribed.number
    }
}

extension WirePublication {
    /// - Parameter withData: whether the data is in it, too.
    fileprivate init(_ publication: ClientPublication, withData: Bool) {
        self.init()
        if withData { self.data = Data(publication.data) }
        if let info = publication.info { self.info = WireClientInfo(info) }
        self.offset = publication.offset
        self.tags = publication.tags
        self.delta = publication.isDelta
        self.time = publication.time
    }
}

extension WireClientInfo {
    fileprivate init(_ info: ClientInfo) {
        self.init()
        self.user = info.user
        self.client = info.client
        self.connInfo = Data(info.connection)
        self.chanInfo = Data(info.channel)
    }
}

extension Data {
    /// Empty when there is none.
    fileprivate init(_ data: ClientData?) {
        self = data.map { Data($0.bytes.readableBytesView) } ?? Data()
    }
}

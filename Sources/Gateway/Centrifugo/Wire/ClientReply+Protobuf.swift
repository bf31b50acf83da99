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
        case .connect(let connected): wire.connect = connected.result
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
        case .connect(let connected): wire.connect = connected.push
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

extension ClientConnected {
    fileprivate var result: WireConnectResult {
        var wire = WireConnectResult()
        wire.client = self.client
        wire.version = Self.version
        wire.expires = self.ttl != nil
        wire.ttl = self.ttl ?? 0
        wire.data = Data(self.data)
        wire.subs = self.subscriptions.mapValues(WireSubscribeResult.init)
        wire.ping = self.ping ?? 0
        wire.pong = self.wantsPong
        wire.session = self.session
        wire.node = self.node
        wire.time = self.time ?? 0
        return wire
    }

    /// The same in a push, which has numbers of its own.
    fileprivate var push: WireConnect {
        var wire = WireConnect()
        wire.client = self.client
        wire.version = Self.version
        wire.expires = self.ttl != nil
        wire.ttl = self.ttl ?? 0
        wire.data = Data(self.data)
        wire.subs = self.subscriptions.mapValues(WireSubscribeResult.init)
        wire.ping = self.ping ?? 0
        wire.pong = self.wantsPong
        wire.session = self.session
        wire.node = self.node
        wire.time = self.time ?? 0
        return wire
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

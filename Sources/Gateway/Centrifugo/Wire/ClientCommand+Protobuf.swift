import ChannelLayer
import ClientWire
import FoundationEssentials
import NIOCore
import SwiftProtobuf

extension ClientCommand {
    /// - Throws: for bytes that are no message of the schema.
    init(message: ByteBuffer) throws {
        let wire = try WireCommand(serializedBytes: [UInt8](buffer: message))
        self.init(id: wire.id, Self.method(wire))
    }

    /// Of several the first in the protocol's order.
    private static func method(_ wire: WireCommand) -> Method? {
        if wire.hasConnect { return .connect(Connect(wire.connect)) }
        if wire.hasSubscribe { return .subscribe(Subscribe(wire.subscribe)) }
        if wire.hasUnsubscribe { return .unsubscribe(channel: wire.unsubscribe.channel) }
        if wire.hasPublish { return .publish(channel: wire.publish.channel, data: ClientData(wire.publish.data)) }
        if wire.hasPresence { return .presence(channel: wire.presence.channel) }
        if wire.hasPresenceStats { return .presenceStats(channel: wire.presenceStats.channel) }
        if wire.hasHistory { return .history(History(wire.history)) }
        if wire.hasRpc { return .rpc(method: wire.rpc.method, data: ClientData(wire.rpc.data)) }
        if wire.hasSend { return .send(data: ClientData(wire.send.data)) }
        if wire.hasRefresh { return .refresh(token: wire.refresh.token) }
        if wire.hasSubRefresh {
            return .refreshSubscription(channel: wire.subRefresh.channel, token: wire.subRefresh.token)
        }
        return wire.hasPing ? .ping : nil
    }
}

extension ClientData {
    fileprivate init?(_ data: Data) { self.init(field: ByteBuffer(bytes: data)) }
}

extension ClientCommand.Connect {
    /// - Throws: for bytes that are no message of the schema.
    init(message: ByteBuffer) throws { self.init(try WireConnectRequest(serializedBytes: [UInt8](buffer: message))) }

    fileprivate init(_ wire: WireConnectRequest) {
        self.init(
            token: wire.token, data: ClientData(wire.data),
            subscriptions: wire.subs.mapValues(ClientCommand.Since.init),
            name: wire.name, version: wire.version, headers: wire.headers, flag: wire.flag)
    }
}

extension ClientCommand.Since {
    fileprivate init(_ wire: WireSubscribeRequest) {
        self.init(recovers: wire.recover, position: StreamPosition(offset: wire.offset, epoch: wire.epoch))
    }
}

extension ClientCommand.Subscribe {
    fileprivate init(_ wire: WireSubscribeRequest) {
        self.init(
            channel: wire.channel, token: wire.token, since: ClientCommand.Since(wire), data: ClientData(wire.data),
            wantsPositioning: wire.positioned, wantsRecovery: wire.recoverable, wantsJoinLeave: wire.joinLeave,
            delta: wire.delta, filter: wire.hasTf ? ClientFilter(wire.tf) : nil, flag: wire.flag,
            kind: Int64(wire.type))
    }
}

extension ClientCommand.History {
    fileprivate init(_ wire: WireHistoryRequest) {
        self.init(
            channel: wire.channel, limit: wire.limit,
            since: wire.hasSince ? StreamPosition(offset: wire.since.offset, epoch: wire.since.epoch) : nil,
            isReverse: wire.reverse)
    }
}

extension ClientFilter {
    /// Recursion is bounded by how deeply the decoder lets messages be nested.
    fileprivate init(_ wire: WireFilterNode) {
        self.init(
            op: wire.op, key: wire.key, comparison: wire.cmp, value: wire.val, values: wire.vals,
            nodes: wire.nodes.map(ClientFilter.init))
    }
}

import JSON
import NIOCore

/// Something the application is told about its browsers.
package struct LifecycleEvent: Equatable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// A connection was let in, or has ended.
        case connected, disconnected
        /// A user has a connection, or has had none for a while.
        case online, offline
        /// A channel has a subscriber, or has had none for a while.
        case occupied, vacated
    }

    var kind: Kind
    /// Milliseconds since 1970.
    var time: Int64
    /// The gateway, for what is about one connection.
    var node = ""
    var client = ""
    var user = ""
    var transport = ""
    var channel = ""
    /// Why a connection ended.
    var code: UInt16 = 0
}

extension LifecycleEvent {
    /// The event as the application sees it.
    func write(_ number: UInt64, to json: inout ByteBuffer) {
        json.writeString(#"{"number":\#(number),"time":\#(self.time),"event":"\#(self.kind.rawValue)""#)
        Self.add("channel", self.channel, to: &json)
        Self.add("client", self.client, to: &json)
        // Said of each connection, also when it is nobody's.
        Self.add("user", self.user, evenEmpty: !self.client.isEmpty, to: &json)
        Self.add("transport", self.transport, to: &json)
        if self.kind == .disconnected { json.writeString(#","code":\#(self.code)"#) }
        Self.add("node", self.node, to: &json)
        json.writeStaticString("}")
    }

    private static func add(_ key: StaticString, _ text: String, evenEmpty: Bool = false, to json: inout ByteBuffer) {
        guard evenEmpty || !text.isEmpty else { return }
        json.writeStaticString(",\"")
        json.writeStaticString(key)
        json.writeStaticString("\":")
        json.writeJSONString(text)
    }
}

package import ChannelLayer
import HTTP1
package import NIOCore

/// All that a gateway knows of one browser, in the form that another process goes on with. A value; its bytes belong to
/// the takeover protocol's version (`TakeoverMessage.version`).
///
/// Not in it: what the route says, which the new gateway reads from its own settings; a compressor, because messages are
/// compressed each by itself; bytes to be sent, because only a browser to whom everything went out is passed on.
package struct SessionSnapshot: Equatable, Sendable {
    /// Bytes of a browser's message under way that are passed on at most; a packet must hold them.
    package static let sizeLimit = 131_072

    /// The path of the route as the settings write it.
    package var route: String
    package var wire: Wire
    package var groups: [GroupName]
    package var receiver: Receiver
    /// The user and the address it is counted under.
    package var user: String?
    package var address: String?
    package var isCounted: Bool
    /// The request's head, where workers are asked with its credentials.
    package var handshake: HandshakeSnapshot?
    /// Seconds since either side said something.
    package var silence: Int
    /// Seconds until the next ping is due, or the answer to the last one.
    package var beat: Int
    package var awaitsPong: Bool
    package var hasAnswered: Bool
    /// `RateMeter.fullAt`.
    package var rate: UInt64
    /// What has come and makes no frame's head yet.
    package var input: ByteBuffer
    /// `nil` for an event stream.
    package var parser: WebSocketParser.Snapshot?
    /// What the application knows it by, when it is told of it.
    package var introducedName: String?
    /// Where the browser chooses its channels.
    var client: ClientSnapshot?

    /// The groups of the channels that the browser chose.
    var channelGroups: [GroupName] {
        (self.client?.subscriptions ?? []).compactMap { try? ClientChannel($0.channel).group }
    }

    package func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeField(self.route)
        bytes.writeInteger(self.wire.number)
        bytes.writeField(self.groups.map(\.text))
        self.receiver.write(into: &bytes)
        bytes.writeField(self.user)
        bytes.writeField(self.address)
        bytes.writeField(self.isCounted)
        bytes.writeField(self.handshake != nil)
        self.handshake?.write(into: &bytes)
        bytes.writeField(self.silence)
        bytes.writeField(self.beat)
        bytes.writeField(self.awaitsPong)
        bytes.writeField(self.hasAnswered)
        bytes.writeInteger(self.rate)
        bytes.writeField(self.input)
        bytes.writeField(self.parser != nil)
        self.parser?.write(into: &bytes)
        bytes.writeField(self.introducedName)
        bytes.writeField(self.client != nil)
        self.client?.write(into: &bytes)
        return bytes
    }
}

extension SessionSnapshot {
    package init(decoding bytes: ByteBuffer) throws(SnapshotError) {
        var bytes = bytes
        self.route = try bytes.stringField()
        self.wire = try Wire(number: try bytes.integerField())
        self.groups = []
        for name in try bytes.stringsField() { self.groups.append(GroupName(unchecked: name)) }
        self.receiver = try Receiver(reading: &bytes)
        self.user = try bytes.optionalStringField()
        self.address = try bytes.optionalStringField()
        self.isCounted = try bytes.boolField()
        self.handshake = try bytes.boolField() ? try HandshakeSnapshot(reading: &bytes) : nil
        self.silence = try bytes.intField()
        self.beat = try bytes.intField()
        self.awaitsPong = try bytes.boolField()
        self.hasAnswered = try bytes.boolField()
        self.rate = try bytes.integerField()
        self.input = try bytes.bytesField()
        self.parser = try bytes.boolField() ? try WebSocketParser.Snapshot(reading: &bytes) : nil
        self.introducedName = try bytes.optionalStringField()
        self.client = try bytes.boolField() ? try ClientSnapshot(reading: &bytes) : nil
        try bytes.endOfFields()
        guard (self.parser != nil) == self.wire.isWebSocket else {
            throw SnapshotError("a WebSocket without a parser, or an event stream with one")
        }
    }
}

/// A handshake that was kept.
package struct HandshakeSnapshot: Equatable, Sendable {
    package var head: ByteBuffer
    package var isEventStream: Bool
    package var address: String?
    package var isFromTrustedProxy: Bool
    package var captures: [String]

    package init(_ handshake: Handshake) {
        var head = ByteBuffer()
        head.writeRequestHead(handshake.head)
        self.head = head
        self.isEventStream = handshake.kind == .eventStream
        self.address = handshake.client.address?.description
        self.isFromTrustedProxy = handshake.client.isFromTrustedProxy
        self.captures = handshake.captures
    }

    fileprivate init(reading bytes: inout ByteBuffer) throws(SnapshotError) {
        self.head = try bytes.bytesField()
        self.isEventStream = try bytes.boolField()
        self.address = try bytes.optionalStringField()
        self.isFromTrustedProxy = try bytes.boolField()
        self.captures = try bytes.stringsField()
    }

    fileprivate func write(into bytes: inout ByteBuffer) {
        bytes.writeField(self.head)
        bytes.writeField(self.isEventStream)
        bytes.writeField(self.address)
        bytes.writeField(self.isFromTrustedProxy)
        bytes.writeField(self.captures)
    }

    /// The handshake again.
    package func handshake() throws(SnapshotError) -> Handshake {
        var bytes = self.head
        var parser = RequestHeadParser()
        guard let head = try? parser.parse(&bytes) else { throw SnapshotError("its request's head is none") }
        return Handshake(
            head: head, kind: self.isEventStream ? .eventStream : .webSocket,
            client: ClientAddress(
                address: self.address.flatMap { IPAddress($0) }, isFromTrustedProxy: self.isFromTrustedProxy),
            captures: self.captures)
    }
}

extension Wire {
    /// 0 a WebSocket, 1 an event stream, 2 and 3 those of the client protocol, 9 to 15 a WebSocket that compresses with such a
    /// window.
    fileprivate var number: UInt8 {
        switch self {
        case .webSocket: 0
        case .eventStream: 1
        case .clientStream: 2
        case .clientEvents: 3
        case .webSocketDeflate(let bits): UInt8(clamping: bits)
        }
    }

    fileprivate init(number: UInt8) throws(SnapshotError) {
        switch number {
        case 0: self = .webSocket
        case 1: self = .eventStream
        case 2: self = .clientStream
        case 3: self = .clientEvents
        case 9...15: self = .webSocketDeflate(windowBits: Int(number))
        default: throw SnapshotError("\(number) is no wire")
        }
    }
}

extension Receiver {
    fileprivate func write(into bytes: inout ByteBuffer) {
        switch self {
        case .drop: bytes.writeInteger(UInt8(0))
        case .echo: bytes.writeInteger(UInt8(1))
        case .worker(let target):
            bytes.writeInteger(UInt8(2))
            bytes.writeField(target)
        case .layer(let channel):
            bytes.writeInteger(UInt8(3))
            bytes.writeField(channel.text)
        case .group(let group, .publication, let key):
            bytes.writeInteger(UInt8(4))
            bytes.writeField(group.text)
            bytes.writeField(key)
        case .group(let group, .message(let type, let name), let key):
            bytes.writeInteger(UInt8(5))
            bytes.writeField(group.text)
            bytes.writeField(key)
            bytes.writeField(type)
            bytes.writeField(name)
        }
    }

    fileprivate init(reading bytes: inout ByteBuffer) throws(SnapshotError) {
        switch try bytes.integerField(as: UInt8.self) {
        case 0: self = .drop
        case 1: self = .echo
        case 2: self = .worker(target: try bytes.stringField())
        case 3: self = .layer(ChannelName(unchecked: try bytes.stringField()))
        case 4:
            let group = GroupName(unchecked: try bytes.stringField())
            self = .group(group, form: .publication, requiredKey: try bytes.optionalStringField())
        case 5:
            let group = GroupName(unchecked: try bytes.stringField())
            let key = try bytes.optionalStringField()
            let type = try bytes.stringField()
            self = .group(group, form: .message(type: type, key: try bytes.stringField()), requiredKey: key)
        case let number: throw SnapshotError("\(number) is no receiver")
        }
    }
}

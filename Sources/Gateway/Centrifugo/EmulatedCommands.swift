import ChannelLayer
import ClientWire
import FoundationEssentials
import JSON
import NIOCore
import Synchronization

/// What a browser with a stream says, in a request of its own.
struct EmulatedCommands: Equatable, Sendable {
    /// The gateway that has the stream.
    var node: String
    /// The stream's secret.
    var session: String
    /// A frame.
    var data: ByteBuffer
    var isProtobuf: Bool

    /// `{"session": …, "node": …, "data": …}`, where data is a text of lines or one command; or the same message in
    /// Protobuf. `nil` for anything else.
    init?(_ body: ByteBuffer, isProtobuf: Bool) {
        self.isProtobuf = isProtobuf
        if isProtobuf {
            guard let wire = try? WireEmulationRequest(serializedBytes: [UInt8](buffer: body)) else { return nil }
            (self.node, self.session, self.data) = (wire.node, wire.session, ByteBuffer(bytes: wire.data))
        } else {
            guard let fields = try? ClientFields(body, wanted: ["node", "session", "data"]),
                let node = try? fields.string("node"), let session = try? fields.string("session"),
                let data = fields["data"]
            else { return nil }
            (self.node, self.session) = (node, session)
            self.data = data.stringValue.map { ByteBuffer(string: $0) } ?? data.bytes
        }
        guard !self.session.isEmpty, self.data.readableBytes > 0 else { return nil }
    }

    static let command = "emulation"

    /// Of another gateway.
    init?(_ message: LayerMessage) {
        guard case .string(let session)? = message.value(under: "session"),
            case .bytes(let data)? = message.value(under: "data"),
            case .bool(let isProtobuf)? = message.value(under: "protobuf")
        else { return nil }
        (self.node, self.session, self.data, self.isProtobuf) = ("", session, data, isProtobuf)
    }

    /// For the gateway that has the stream.
    var entries: [LayerValue.Entry] {
        [
            LayerValue.Entry(key: .string("session"), value: .string(self.session)),
            LayerValue.Entry(key: .string("data"), value: .bytes(self.data)),
            LayerValue.Entry(key: .string("protobuf"), value: .bool(self.isProtobuf)),
        ]
    }
}

/// The streams of a gateway, by their secret.
final class EmulatedSessions: Sendable {
    private struct Entry: Sendable {
        let loop: any EventLoop
        let client: NIOLoopBound<ClientSession>
    }

    private let entries = Mutex<[String: Entry]>([:])

    func add(_ client: ClientSession, as secret: String, on loop: any EventLoop) {
        let entry = Entry(loop: loop, client: NIOLoopBound(client, eventLoop: loop))
        self.entries.withLock { $0[secret] = entry }
    }

    func remove(_ secret: String) { self.entries.withLock { $0[secret] = nil } }

    /// Hands commands to the stream they are for; none of a stream that has ended counts.
    func take(_ said: EmulatedCommands) {
        guard let entry = self.entries.withLock({ $0[said.session] }) else { return }
        entry.loop.execute {
            entry.client.value.emulated(said.isProtobuf ? .binary(said.data) : .text(said.data))
        }
    }
}

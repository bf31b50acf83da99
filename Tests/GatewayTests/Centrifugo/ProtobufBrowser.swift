import ClientWire
import NIOCore
import SwiftProtobuf
import Testing

@testable import Gateway

/// A browser that speaks the client protocol in Protobuf.
final class ProtobufBrowser {
    let browser: LiveBrowser
    private var frame = ByteBuffer()

    init(_ gateway: LiveGateway) async throws {
        self.browser = try await gateway.open("/channels/connection/websocket?cf_protocol=protobuf")
    }

    /// One that is past its `connect`.
    static func connected(to gateway: LiveGateway) async throws -> ProtobufBrowser {
        let browser = try await ProtobufBrowser(gateway)
        var command = WireCommand()
        command.id = 1
        command.connect = WireConnectRequest()
        try await browser.say(command)
        #expect(try await browser.next().hasConnect)
        return browser
    }

    /// A command behind its length.
    static func frame(_ command: WireCommand) throws -> [UInt8] {
        let bytes: [UInt8] = try command.serializedBytes()
        var frame = ByteBuffer()
        frame.writeVarint(UInt64(bytes.count))
        return [UInt8](buffer: frame) + bytes
    }

    func say(_ command: WireCommand) async throws {
        try await self.browser.send(clientFrame(2, try Self.frame(command)))
    }

    /// The next reply, of which a frame may have several.
    func next() async throws -> WireReply {
        while self.frame.readableBytes == 0 {
            let event = try await self.browser.next()
            guard case .binary(let bytes)? = event else { throw LiveBrowser.Unexpected(event: event) }
            self.frame = bytes
        }
        let prefix = self.frame.readVarint()
        let length = try #require(prefix)
        let message = self.frame.readBytes(length: Int(length))
        return try WireReply(serializedBytes: try #require(message))
    }
}

import NIOCore
import Synchronization

@testable import Gateway

/// The browser's side of one connection to a gateway, on a real socket.
final class LiveBrowser {
    private let channel: any Channel
    private var bytes: AsyncStream<ByteBuffer>.Iterator
    private var input = ByteBuffer()
    private var parser = WebSocketParser(role: .client, messageLimit: 1 << 26)

    init(channel: any Channel, bytes: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.bytes = bytes.makeAsyncIterator()
    }

    /// Who lets go of a browser closes it.
    deinit { self.channel.close(promise: nil) }

    /// A request for a WebSocket, as browsers make it.
    static func handshake(_ path: String, fields: String = "", host: String = "a") -> String {
        "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(fields)\r\n"
    }

    func close() { self.channel.close(promise: nil) }

    func send(_ bytes: ByteBuffer) async throws { try await self.channel.writeAndFlush(bytes) }
    func send(_ bytes: [UInt8]) async throws { try await self.send(ByteBuffer(bytes: bytes)) }
    func send(_ text: String) async throws { try await self.send(ByteBuffer(string: text)) }

    /// Says that nothing more will come from here.
    func endOutput() async throws { try await self.channel.close(mode: .output) }

    /// Whether what comes is taken from the system; one that does not read is slow.
    func reads(_ reads: Bool) async throws { try await self.channel.setOption(.autoRead, value: reads).get() }

    /// The answer's head with its empty line. From an answer that agrees to compress on, compressed messages are
    /// understood.
    func head() async throws -> String {
        let head = try await self.text(until: "\r\n\r\n") ?? ""
        if head.contains("Sec-WebSocket-Extensions: permessage-deflate") {
            self.parser = WebSocketParser(role: .client, messageLimit: 1 << 26, inflater: Inflater())
        }
        return head
    }

    /// What an event stream says next, up to an empty line; `nil` at its end.
    func block() async throws -> String? {
        try await self.text(until: "\n\n").map { String($0.dropLast(2)) }
    }

    /// The next line without its end; `nil` at the end of all.
    func line() async throws -> String? {
        try await self.text(until: "\n").map { String($0.dropLast()) }
    }

    /// Everything until the end.
    func rest() async throws -> String {
        while await self.read() {}
        return self.input.readString(length: self.input.readableBytes) ?? ""
    }

    private func text(until mark: String) async throws -> String? {
        while true {
            let text = String(buffer: self.input)
            if let end = text.firstRange(of: mark) {
                self.input.moveReaderIndex(forwardBy: text[..<end.upperBound].utf8.count)
                return String(text[..<end.upperBound])
            }
            guard await self.read() else {
                guard self.input.readableBytes == 0 else { throw ChannelError.eof }
                return nil
            }
        }
    }

    /// What the gateway says next on a WebSocket; `nil` when the connection has ended.
    func next() async throws -> WebSocketParser.Event? {
        while true {
            if let event = try self.parser.next(&self.input) { return event }
            guard await self.read() else { return nil }
        }
    }

    /// The next bytes from the wire, as many as that; fewer when the connection ends before.
    func raw(_ count: Int) async -> [UInt8] {
        while self.input.readableBytes < count, await self.read() {}
        return self.input.readBytes(length: min(count, self.input.readableBytes)) ?? []
    }

    private func read() async -> Bool {
        guard var more = await self.bytes.next() else { return false }
        self.input.writeBuffer(&more)
        return true
    }

    /// The next message's text; anything else is a failure.
    func nextText() async throws -> String {
        let event = try await self.next()
        guard case .text(let text)? = event else { throw Unexpected(event: event) }
        return String(buffer: text)
    }

    struct Unexpected: Error { let event: WebSocketParser.Event? }
}

extension WebSocketParser.Event {
    static func text(_ text: String) -> Self { .text(ByteBuffer(string: text)) }
}

/// The browsers of a test, to be closed at its end.
final class OpenBrowsers: Sendable {
    private let channels = Mutex<[any Channel]>([])

    func add(_ channel: any Channel) { self.channels.withLock { $0.append(channel) } }

    func closeAll() {
        for channel in self.channels.withLock({ $0 }) { channel.close(promise: nil) }
    }
}

/// Hands what comes to an async reader.
final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let arrived: AsyncStream<ByteBuffer>.Continuation

    init(_ arrived: AsyncStream<ByteBuffer>.Continuation) { self.arrived = arrived }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { self.arrived.yield(self.unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { self.arrived.finish() }
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { self.arrived.finish() }
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

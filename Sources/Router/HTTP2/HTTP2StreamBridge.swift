import HTTP1
import NIOCore
import NIOHPACK
import NIOHTTP2

/// One stream of HTTP/2 as the bytes of HTTP/1.1, both ways: so that everything a `ProxyHandler` does is done for HTTP/2
/// as well, and only once. The price is a second reading of each answer's head and chunk lines.
final class HTTP2StreamBridge: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = HTTP2Frame.FramePayload

    private var request = HTTP2RequestBytes()
    private var answer = ByteBuffer()
    private var parser = ResponseHeadParser(limits: HeadLimits(headBytes: 1 << 20, fields: 1_000))
    private var body: BodyDecoder?
    /// A piece of the body that may turn out to be the last one, which is the stream's end as well.
    private var held: ByteBuffer?
    /// Completes when the answer's last frame has gone out; `nil` before it was written.
    private var end: EventLoopFuture<Void>?
    private var hasEnded = false
    private var isReset = false

    // MARK: The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isReset else { return }
        do {
            guard let bytes = try self.bytes(of: self.unwrapInboundIn(data)), bytes.readableBytes > 0 else { return }
            context.fireChannelRead(self.wrapInboundOut(bytes))
        } catch {
            self.reset(context, .protocolError)
        }
    }

    private func bytes(of frame: HTTP2Frame.FramePayload) throws -> ByteBuffer? {
        switch frame {
        case .headers(let headers) where !self.request.hasBegun:
            return try self.request.head(headers.headers, endsStream: headers.endStream)
        case .headers(let headers):
            return try self.request.trailers(headers.headers, endsStream: headers.endStream)
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { return nil }
            return self.request.data(bytes, endsStream: data.endStream)
        default: return nil
        }
    }

    // MARK: The answer

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = self.unwrapOutboundIn(data)
        if self.answer.readableBytes == 0 { self.answer = bytes } else { self.answer.writeBuffer(&bytes) }
        do throws(HTTP1Error) {
            while try self.writeNext(context) {}
            self.putHeld(context)
        } catch {
            self.reset(context, .internalError)
        }
        // Whoever waits for all that was written waits for the last frame.
        guard let promise else { return }
        if let end = self.end { end.cascade(to: promise) } else { promise.succeed() }
    }

    /// One step; `false` when more bytes are needed.
    private func writeNext(_ context: ChannelHandlerContext) throws(HTTP1Error) -> Bool {
        guard self.end == nil, !self.isReset else { return false }
        guard self.body != nil else { return try self.writeHead(context) }
        guard let part = try self.body?.next(&self.answer) else { return false }
        switch part {
        case .bytes(let bytes):
            self.putHeld(context)
            self.held = bytes
        case .end(let trailers):
            if trailers.count > 0 {
                self.putHeld(context)
                self.putLast(context, .headers(.init(headers: HPACKHeaders(fields: trailers), endStream: true)))
            } else {
                let last = self.held ?? ByteBuffer()
                self.held = nil
                self.putLast(context, .data(.init(data: .byteBuffer(last), endStream: true)))
            }
        }
        return true
    }

    private func putHeld(_ context: ChannelHandlerContext) {
        guard let held = self.held else { return }
        self.held = nil
        self.put(context, .data(.init(data: .byteBuffer(held))))
    }

    private func writeHead(_ context: ChannelHandlerContext) throws(HTTP1Error) -> Bool {
        guard self.answer.readableBytes > 0, let head = try self.parser.parse(&self.answer) else { return false }
        let framing = try head.framing(requestMethod: self.request.method)
        let headers = HPACKHeaders(answer: head)
        if head.isInterim {
            self.put(context, .headers(.init(headers: headers)))
        } else if framing == .none || framing == .length(0) {
            self.putLast(context, .headers(.init(headers: headers, endStream: true)))
        } else {
            self.body = BodyDecoder(framing: framing)
            self.put(context, .headers(.init(headers: headers)))
        }
        return true
    }

    private func put(_ context: ChannelHandlerContext, _ frame: HTTP2Frame.FramePayload) {
        context.write(self.wrapOutboundOut(frame), promise: nil)
    }

    private func putLast(_ context: ChannelHandlerContext, _ frame: HTTP2Frame.FramePayload) {
        let promise = context.eventLoop.makePromise(of: Void.self)
        self.end = promise.futureResult
        promise.futureResult.assumeIsolated().whenComplete { _ in self.hasEnded = true }
        context.write(self.wrapOutboundOut(frame), promise: promise)
    }

    // MARK: Ends

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch mode {
        case .input: return context.close(mode: .input, promise: promise)
        case .output:
            if let end = self.end {
                // Our answer is whole; what the browser still sends is not wanted (RFC 9113 section 8.1).
                end.assumeIsolated().whenComplete { _ in self.stopRequest(context) }
            } else {
                self.reset(context, .internalError)
            }
        case .all:
            if self.hasEnded { self.stopRequest(context) } else { self.reset(context, .internalError) }
        }
        promise?.succeed()
    }

    private func stopRequest(_ context: ChannelHandlerContext) {
        if !self.request.isComplete { self.reset(context, .noError) }
    }

    /// Ends the stream in the middle.
    private func reset(_ context: ChannelHandlerContext, _ code: HTTP2ErrorCode) {
        guard !self.isReset, context.channel.isActive else { return }
        self.isReset = true
        context.writeAndFlush(self.wrapOutboundOut(.rstStream(code)), promise: nil)
    }
}

extension HPACKHeaders {
    /// The head of an answer, without what is about an HTTP/1.1 connection.
    fileprivate init(answer head: ResponseHead) {
        self.init()
        self.reserveCapacity(head.fields.count + 1)
        self.add(name: ":status", value: String(head.status))
        self.add(head.fields)
    }

    fileprivate init(fields: HeaderFields) {
        self.init()
        self.add(fields)
    }

    private mutating func add(_ fields: HeaderFields) {
        for (name, value) in fields where !Self.isLeftOut(KnownField(name)) {
            self.add(name: name.lowercased(), value: value)
        }
    }

    private static func isLeftOut(_ field: KnownField) -> Bool {
        KnownFields.hopByHop.contains(field) && field != .trailer
    }
}

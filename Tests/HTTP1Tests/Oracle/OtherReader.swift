import HTTP1
import NIOCore
import NIOEmbedded
import NIOHTTP1

/// What a reader makes of a connection's bytes: messages in order, and whether it refused at last.
struct Transcript: Equatable {
    struct Message: Equatable {
        /// `GET /a HTTP/1.1`, or `HTTP/1.1 200`.
        var line: String
        var fields: [String]
        var body: [UInt8] = []
        var trailers: [String] = []
        var isComplete = false
    }

    var messages: [Message] = []
    var refusal: String?
    var completeMessages: Int { self.messages.count { $0.isComplete } }

    mutating func add(_ line: String, _ fields: some Sequence<(String, String)>) {
        self.messages.append(Message(line: line, fields: fields.map(Self.line)))
    }

    /// The other reader leaves some white space at a value's end, which has no meaning (RFC 9112 section 5.1).
    private static func line(_ name: String, _ value: String) -> String {
        let white: Set<Character> = [" ", "\t"]
        let end = value.lastIndex { !white.contains($0) }.map { value.index(after: $0) } ?? value.startIndex
        return "\(name): \(value[..<end])"
    }

    mutating func addBody(_ bytes: ByteBuffer) {
        self.messages[self.messages.count - 1].body += Array(bytes.readableBytesView)
    }

    mutating func end(_ trailers: some Sequence<(String, String)>) {
        self.messages[self.messages.count - 1].trailers = trailers.map(Self.line)
        self.messages[self.messages.count - 1].isComplete = true
    }
}

/// NIOHTTP1, the other reader: whatever it refuses ours must refuse, and what both take must mean the same.
enum OtherReader {
    static func requests(_ bytes: [UInt8]) throws -> Transcript {
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(HTTPRequestDecoder()))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        var transcript = Transcript()
        transcript.refusal = Self.refusal { try channel.writeInbound(ByteBuffer(bytes: bytes)) }
        while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
            switch part {
            case .head(let head):
                transcript.add("\(head.method.rawValue) \(head.uri) \(head.version)", head.headers.map { ($0, $1) })
            case .body(let bytes): transcript.addBody(bytes)
            case .end(let trailers): transcript.end((trailers ?? HTTPHeaders()).map { ($0, $1) })
            }
        }
        return transcript
    }

    /// - Parameter method: of the request that all responses answer.
    static func responses(_ bytes: [UInt8], to method: HTTPMethod, ended: Bool) throws -> Transcript {
        let decoder = HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .forward)
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(decoder))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/")
        try channel.writeOutbound(HTTPClientRequestPart.head(head))
        var transcript = Transcript()
        transcript.refusal = Self.refusal {
            try channel.writeInbound(ByteBuffer(bytes: bytes))
            if ended { _ = try channel.finish(acceptAlreadyClosed: true) }
        }
        while let part = try channel.readInbound(as: HTTPClientResponsePart.self) {
            switch part {
            case .head(let head):
                transcript.add("\(head.version) \(head.status.code)", head.headers.map { ($0, $1) })
            case .body(let bytes): transcript.addBody(bytes)
            case .end(let trailers): transcript.end((trailers ?? HTTPHeaders()).map { ($0, $1) })
            }
        }
        return transcript
    }

    private static func refusal(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch HTTPParserError.closedConnection {
            // It was told that the connection closes, and minds that more came. We don't look at what comes then.
            return nil
        } catch {
            return "\(error)"
        }
    }
}

/// Ours, read as a server and a client read it.
enum OurReader {
    static func requests(_ bytes: [UInt8]) -> Transcript {
        var transcript = Transcript()
        var buffer = ByteBuffer(bytes: bytes)
        var parser = RequestHeadParser()
        do throws(HTTP1Error) {
            while let head = try parser.parse(&buffer) {
                transcript.add(
                    "\(head.method) \(head.target) HTTP/1.\(head.version == .http11 ? 1 : 0)",
                    head.fields.map { ($0, $1) })
                try Self.body(BodyDecoder(framing: head.framing()), &buffer, &transcript, ended: false)
                guard transcript.messages.last?.isComplete == true, head.keepAlive, !Self.changesProtocol(head) else {
                    break
                }
            }
        } catch {
            transcript.refusal = "\(error)"
        }
        return transcript
    }

    static func responses(_ bytes: [UInt8], to method: String, ended: Bool) -> Transcript {
        var transcript = Transcript()
        var buffer = ByteBuffer(bytes: bytes)
        var parser = ResponseHeadParser()
        do throws(HTTP1Error) {
            while let head = try parser.parse(&buffer) {
                transcript.add(
                    "HTTP/1.\(head.version == .http11 ? 1 : 0) \(head.status)", head.fields.map { ($0, $1) })
                let framing = try head.framing(requestMethod: method)
                if head.isInterim {
                    guard head.keepAlive else { return transcript }
                    continue
                }
                try Self.body(BodyDecoder(framing: framing), &buffer, &transcript, ended: ended)
                return transcript
            }
            if ended, buffer.readableBytes > 0 { transcript.refusal = "it ended in a head" }
        } catch {
            transcript.refusal = "\(error)"
        }
        return transcript
    }

    private static func body(
        _ decoder: BodyDecoder, _ buffer: inout ByteBuffer, _ transcript: inout Transcript, ended: Bool
    ) throws(HTTP1Error) {
        var decoder = decoder
        func take(_ part: BodyPart) {
            switch part {
            case .bytes(let bytes): transcript.addBody(bytes)
            case .end(let trailers): transcript.end(trailers.map { ($0, $1) })
            }
        }
        while let part = try decoder.next(&buffer) { take(part) }
        if ended, let part = try decoder.finish() { take(part) }
    }

    /// After these, what comes is no HTTP/1.1 until the answer says so.
    private static func changesProtocol(_ head: RequestHead) -> Bool {
        head.method == "CONNECT" || head.fields.hasToken("upgrade", in: "connection") && head.fields.contains("upgrade")
    }
}

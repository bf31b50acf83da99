import HTTP1
import NIOCore

/// Reads what an upstream answers to one request after another, in HTTP/1.1 or FastCGI: bytes in, parts out. A value
/// without I/O.
struct UpstreamAnswerReader {
    enum Part {
        /// Of an interim answer, of the answer, or with 101 of a tunnel.
        case head(ResponseHead, BodyFraming)
        /// Bytes of the body, or of the tunnel.
        case body(ByteBuffer)
        /// What a FastCGI application wrote to its standard error.
        case error(ByteBuffer)
        /// The answer is complete.
        case end(trailers: HeaderFields)
        /// What came is no answer that can be passed on, and nothing that follows will be.
        case failed(UpstreamError.Code, String)
    }

    enum Stage {
        case head, body
        /// After 101: bytes as they come, without an end of their own.
        case tunnel
    }

    /// Interim answers to one request; more are a fault of the upstream.
    private static let interimLimit = 16

    private let limits: HeadLimits
    private let speaksFastCGI: Bool
    private let keepsFastCGI: Bool
    private(set) var stage = Stage.head
    /// Whether anything of it has come.
    private(set) var hasBegun = false
    private var method = ""
    private var interims = 0
    private var keepsAlive = false
    private var parser: ResponseHeadParser
    private var decoder = BodyDecoder(framing: .none, limit: nil)
    /// For an upstream that speaks FastCGI, from a request's start on; `nil` for all others.
    private var fastCGI: FastCGIAnswer?

    init(speaksFastCGI: Bool, configuration: UpstreamConfiguration) {
        self.limits = configuration.headLimits
        self.speaksFastCGI = speaksFastCGI
        self.keepsFastCGI = configuration.fastCGI.keepsConnections
        self.parser = ResponseHeadParser(limits: configuration.headLimits)
    }

    /// The next answer is one to a request with `method`: what is a body in it depends on that.
    mutating func begin(method: String) {
        self.method = method
        self.stage = .head
        self.hasBegun = false
        self.interims = 0
        self.keepsAlive = false
        if self.speaksFastCGI { self.fastCGI = FastCGIAnswer(method: method, limits: self.limits) }
    }

    /// Whether the upstream takes another request on this connection, once the answer is complete.
    var allowsAnother: Bool {
        self.keepsAlive && (!self.speaksFastCGI || self.fastCGI?.isBetweenRecords == true)
    }

    /// The next part; `nil` when more bytes are needed. Not to be asked between an answer's end and `begin`.
    mutating func next(_ buffer: inout ByteBuffer) -> Part? {
        do throws(HTTP1Error) {
            return self.speaksFastCGI ? try self.nextOfFastCGI(&buffer) : try self.nextOfHTTP(&buffer)
        } catch {
            return .failed(.badAnswer, error.message)
        }
    }

    /// What the end of all bytes completes; `nil` when it cuts the answer short.
    mutating func finish() -> Part? {
        guard !self.speaksFastCGI, self.stage == .body, let end = try? self.decoder.finish() else { return nil }
        return Self.part(end)
    }

    // MARK: HTTP

    private mutating func nextOfHTTP(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Part? {
        switch self.stage {
        case .head:
            guard buffer.readableBytes > 0 else { return nil }
            self.hasBegun = true
            guard let head = try self.parser.parse(&buffer) else { return nil }
            return self.part(head, try head.framing(requestMethod: self.method))
        case .body:
            guard let part = try self.decoder.next(&buffer) else { return nil }
            return Self.part(part)
        case .tunnel:
            guard buffer.readableBytes > 0 else { return nil }
            let bytes = buffer
            buffer = ByteBuffer()
            return .body(bytes)
        }
    }

    private mutating func part(_ head: ResponseHead, _ framing: BodyFraming) -> Part {
        switch head.status {
        case 101: self.stage = .tunnel
        case 100..<200:
            self.interims += 1
            guard self.interims <= Self.interimLimit else {
                return .failed(.badAnswer, "more than \(Self.interimLimit) interim answers")
            }
        default:
            self.keepsAlive = if case .untilClose = framing { false } else { head.keepAlive }
            self.decoder = BodyDecoder(framing: framing, limit: nil)
            self.stage = .body
        }
        return .head(head, framing)
    }

    private static func part(_ part: BodyPart) -> Part {
        switch part {
        case .bytes(let bytes): .body(bytes)
        case .end(let trailers): .end(trailers: trailers)
        }
    }

    // MARK: FastCGI

    private mutating func nextOfFastCGI(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Part? {
        switch try self.fastCGI?.next(&buffer) {
        case nil: return nil
        case .head(let head, let framing):
            self.hasBegun = true
            self.keepsAlive = self.keepsFastCGI
            self.stage = .body
            return .head(head, framing)
        case .body(let bytes): return .body(bytes)
        case .error(let bytes): return .error(bytes)
        case .end(let end):
            switch end.outcome {
            case 0: return .end(trailers: HeaderFields())
            case 2: return .failed(.overloaded, "the application says that it is overloaded")
            default: return .failed(.badAnswer, "the application takes no such request (\(end.outcome))")
            }
        }
    }
}

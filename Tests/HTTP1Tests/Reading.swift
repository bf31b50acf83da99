import HTTP1
import NIOCore

/// What one connection's bytes say: requests, and what ends them.
struct Reading: Equatable, CustomStringConvertible {
    struct Request: Equatable {
        var method: String
        var target: String
        var version: HTTPVersion
        var fields: [String]
        var keepAlive: Bool
        var body: [UInt8]
        var trailers: [String]
        /// Whether the whole body came.
        var isComplete: Bool

        /// Equal but for letters that no reader takes as UTF-8.
        init(_ head: RequestHead) {
            self.method = head.method
            self.target = head.target
            self.version = head.version
            self.fields = head.fields.map { "\($0.name): \($0.value)" }
            self.keepAlive = head.keepAlive
            self.body = []
            self.trailers = []
            self.isComplete = false
        }
    }

    var requests: [Request] = []
    /// The status with which the connection was refused.
    var status: Int?
    var code: HTTP1Error.Code?
    /// Bytes that were not consumed.
    var rest: [UInt8] = []

    var description: String {
        "\(self.requests) refused: \(self.code.map { "\($0) \(self.status ?? 0)" } ?? "no") rest: \(self.rest.count)"
    }

    /// Reads pieces of a connection as a server does.
    init(_ pieces: [[UInt8]], limits: HeadLimits = HeadLimits(), bodyLimit: Int? = nil) {
        var reader = RequestReader(limits: limits, bodyLimit: bodyLimit)
        do throws(HTTP1Error) {
            for piece in pieces { try reader.read(piece) }
        } catch {
            self.status = error.status
            self.code = error.code
        }
        self.requests = reader.requests
        self.rest = Array(reader.buffer.readableBytesView)
    }

    init(_ bytes: [UInt8], limits: HeadLimits = HeadLimits(), bodyLimit: Int? = nil) {
        self.init([bytes], limits: limits, bodyLimit: bodyLimit)
    }
}

private struct RequestReader {
    var requests: [Reading.Request] = []
    var buffer = ByteBuffer()
    private var parser: RequestHeadParser
    private var body: BodyDecoder?
    private let bodyLimit: Int?

    init(limits: HeadLimits, bodyLimit: Int?) {
        self.parser = RequestHeadParser(limits: limits)
        self.bodyLimit = bodyLimit
    }

    mutating func read(_ piece: [UInt8]) throws(HTTP1Error) {
        self.buffer.writeBytes(piece)
        while true {
            if self.body == nil {
                guard let head = try self.parser.parse(&self.buffer) else { return }
                self.requests.append(Reading.Request(head))
                self.body = BodyDecoder(framing: try head.framing(), limit: self.bodyLimit)
            }
            guard let part = try self.body?.next(&self.buffer) else { return }
            let last = self.requests.count - 1
            switch part {
            case .bytes(let bytes): self.requests[last].body += Array(bytes.readableBytesView)
            case .end(let trailers):
                self.requests[last].trailers = trailers.map { "\($0.name): \($0.value)" }
                self.requests[last].isComplete = true
                self.body = nil
            }
        }
    }
}

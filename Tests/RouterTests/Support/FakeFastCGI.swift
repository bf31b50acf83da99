import Foundation
import NIOCore

@testable import Upstream

/// A FastCGI application that does what the test says with each request.
final class FakeFastCGI: Sendable {
    struct Request: Sendable {
        var parameters: [String: String] = [:]
        var body = ""
    }

    private let server: FakeUpstream
    var port: Int { self.server.port }
    var connections: Int { self.server.connections }

    /// - Parameter raw: has the connection after each whole request; the connection ends when it throws.
    init(raw serve: @escaping @Sendable (Socket, Request) throws -> Void) throws {
        self.server = try FakeUpstream { socket, _ in
            while true { try serve(socket, try Self.readRequest(socket)) }
        }
    }

    /// - Parameter answer: gives the answer's head and body.
    convenience init(_ answer: @escaping @Sendable (Request) -> String) throws {
        try self.init(raw: { socket, request in
            var rest = Substring(answer(request)).utf8[...]
            var bytes = ByteBuffer()
            while !rest.isEmpty {
                let piece = String(Substring(rest.prefix(60_000)))
                rest = rest.dropFirst(60_000)
                bytes.writeImmutableBuffer(FastCGIRecordTests.records([(.stdout, piece)], padding: 3))
            }
            bytes.writeImmutableBuffer(
                FastCGIRecordTests.records([(.stdout, ""), (.endRequest, FastCGIRecordTests.end)]))
            try socket.send(bytes)
        })
    }

    private static func readRequest(_ socket: Socket) throws -> Request {
        var (request, pairs, body) = (Request(), ByteBuffer(), [UInt8]())
        while true {
            let header = try socket.read(8)
            let content = try socket.read(Int(header[4]) << 8 | Int(header[5]))
            _ = try socket.read(Int(header[6]))
            switch FastCGI.RecordType(rawValue: header[1]) {
            case .params where !content.isEmpty: pairs.writeBytes(content)
            case .stdin where !content.isEmpty: body += content
            case .stdin:
                request.parameters = try Self.pairs(&pairs)
                request.body = String(decoding: body, as: UTF8.self)
                return request
            default: break
            }
        }
    }

    /// The parameters of one request's records.
    static func readParameters(_ buffer: inout ByteBuffer) throws -> [String: String] {
        var pairs = ByteBuffer()
        while let header = buffer.readBytes(length: 8) {
            var content = buffer.readSlice(length: Int(header[4]) << 8 | Int(header[5])) ?? ByteBuffer()
            buffer.moveReaderIndex(forwardBy: Int(header[6]))
            if header[1] == FastCGI.RecordType.params.rawValue { pairs.writeBuffer(&content) }
        }
        return try Self.pairs(&pairs)
    }

    private static func pairs(_ buffer: inout ByteBuffer) throws -> [String: String] {
        func length() -> Int? {
            guard let first = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return nil }
            if first < 128 { return buffer.readInteger(as: UInt8.self).map(Int.init) }
            return buffer.readInteger(as: UInt32.self).map { Int($0 & 0x7FFF_FFFF) }
        }
        var result: [String: String] = [:]
        while buffer.readableBytes > 0 {
            guard let nameLength = length(), let valueLength = length(),
                let name = buffer.readString(length: nameLength), let value = buffer.readString(length: valueLength)
            else { throw Socket.Failure(description: "a parameter is cut short") }
            guard result.updateValue(value, forKey: name) == nil else {
                throw Socket.Failure(description: "\(name) is there twice")
            }
        }
        return result
    }
}

extension Socket {
    func send(_ bytes: ByteBuffer) throws { try self.send(Array(bytes.readableBytesView)) }
}

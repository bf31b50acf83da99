import Foundation
import HTTP1
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Workers

/// Runs `body` against a server on a free port, and stops it.
func withServer(
    _ application: any SynchronousApplication, _ change: (inout WorkersConfiguration) -> Void = { _ in },
    _ body: (TestServer) async throws -> Void
) async throws {
    var configuration = WorkersConfiguration()
    configuration.listen = .tcp(host: "127.0.0.1", port: 0)
    change(&configuration)
    let server = try WorkerServer(
        application, configuration: configuration,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    try await server.start()
    do {
        try await body(TestServer(server: server))
        await server.drain(within: .milliseconds(100))
    } catch {
        await server.drain(within: .milliseconds(100))
        throw error
    }
}

/// A listening socket on a free port, as supervisord hands one down. Whoever asked for it closes it.
func inheritedListener() throws -> CInt {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let anyPort = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
    try #require(anyPort.withSockAddr { bind(listener, $0, socklen_t($1)) } == 0)
    try #require(listen(listener, 64) == 0)
    return listener
}

struct TestServer {
    let server: WorkerServer

    func connect() async throws -> Client { try await Client(self.server.boundAddress) }

    /// Sends one request on a connection of its own and reads the answer to the end.
    func ask(_ request: String) async throws -> Answer {
        let client = try await self.connect()
        defer { client.close() }
        try client.send(request)
        return try await client.answer()
    }

    func get(_ path: String, _ fields: String = "") async throws -> Answer {
        try await self.ask("GET \(path) HTTP/1.1\r\nHost: test\r\n\(fields)\r\n")
    }

    func post(_ path: String, _ body: String, _ fields: String = "") async throws -> Answer {
        try await self.ask(
            "POST \(path) HTTP/1.1\r\nHost: test\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
    }
}

/// An answer as it stood on the wire, its chunks joined.
struct Answer {
    var status: Int
    var fields: [(name: String, value: String)]
    var body: String

    subscript(name: String) -> String? {
        self.fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// A plain blocking socket, read on a thread of its own, so that tests see bytes when they come.
final class Client: Sendable {
    private let descriptor: CInt
    private let buffer = Mutex<[UInt8]>([])

    init(_ address: SocketAddress?) async throws {
        let address = try #require(address)
        let family = if case .unixDomainSocket = address { AF_UNIX } else { AF_INET }
        self.descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        let descriptor = self.descriptor
        let result = address.withSockAddr { pointer, size in Glibc.connect(descriptor, pointer, socklen_t(size)) }
        guard result == 0 else { throw ClientError.closed }
        // A test that waits for bytes that never come fails instead of hanging.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { Glibc.close(self.descriptor) }

    /// For `poll`.
    var number: CInt { self.descriptor }

    func close() { shutdown(self.descriptor, Int32(SHUT_RDWR)) }

    func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let sent = bytes[offset...].withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent <= 0 { throw ClientError.closed }
            offset += sent
        }
    }

    /// Bytes up to and with `mark`.
    func read(until mark: String) async throws -> String {
        let mark = Array(mark.utf8)
        return try await self.take { bytes in
            bytes.indices.first { bytes[$0...].starts(with: mark) }.map { $0 + mark.count }
        }
    }

    func read(count: Int) async throws -> String {
        try await self.take { $0.count >= count ? count : nil }
    }

    /// Everything until the other side closes.
    func readToEnd() async throws -> String {
        do {
            return try await self.take { _ in nil }
        } catch ClientError.closed {
            return self.buffer.withLock { String(decoding: $0, as: UTF8.self) }
        }
    }

    func answer(toHead: Bool = false) async throws -> Answer {
        let head = try await self.read(until: "\r\n\r\n").components(separatedBy: "\r\n").filter { !$0.isEmpty }
        let fields = head.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (name: String(parts[0]), value: parts[1].trimmingCharacters(in: .whitespaces))
        }
        var answer = Answer(status: Int(head[0].split(separator: " ")[1]) ?? 0, fields: fields, body: "")
        if toHead || answer.status == 304 || answer.status == 204 { return answer }
        if answer["Transfer-Encoding"] == "chunked" {
            while let chunk = try await self.chunk() { answer.body += chunk }
        } else if let length = answer["Content-Length"].flatMap(Int.init) {
            answer.body = try await self.read(count: length)
        } else {
            answer.body = try await self.readToEnd()
        }
        return answer
    }

    /// The next chunk; `nil` for the last.
    func chunk() async throws -> String? {
        let size = Int(try await self.read(until: "\r\n").dropLast(), radix: 16) ?? 0
        let chunk = try await self.read(count: size + 2)
        return size == 0 ? nil : String(chunk.dropLast())
    }

    /// Reads until `length` says how many of the bytes are wanted.
    private func take(_ length: @escaping @Sendable ([UInt8]) -> Int?) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try self.takeBlocking(length) })
            }
        }
    }

    private func takeBlocking(_ length: ([UInt8]) -> Int?) throws -> String {
        while true {
            let taken: String? = self.buffer.withLock { buffer in
                guard let count = length(buffer) else { return nil }
                defer { buffer.removeFirst(count) }
                return String(decoding: buffer.prefix(count), as: UTF8.self)
            }
            if let taken { return taken }
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = recv(self.descriptor, &bytes, bytes.count, 0)
            if count == 0 { throw ClientError.closed }
            if count < 0 { throw errno == EAGAIN ? ClientError.nothingCame : ClientError.closed }
            self.buffer.withLock { $0 += bytes.prefix(count) }
        }
    }
}

enum ClientError: Error { case closed, nothingCame }

/// Blocks a pool thread until the test lets it go on.
final class Gate: Sendable {
    private let state = Monitor((open: 0, waiting: 0))

    /// Called by the application: waits for one `open`.
    func pass() {
        self.state.broadcast { $0.waiting += 1 }
        _ = self.state.wait { state in
            guard state.open > 0 else { return Bool?.none }
            state.open -= 1
            state.waiting -= 1
            return true
        }
    }

    /// Lets one through.
    func open(_ count: Int = 1) { self.state.broadcast { $0.open += count } }

    /// Waits until `count` applications wait here.
    func waitForVisitors(_ count: Int) async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                _ = self.state.wait(until: .now() + .seconds(20)) { $0.waiting >= count ? true : nil }
                continuation.resume()
            }
        }
    }
}

/// An application made of a closure.
struct Ask: SynchronousApplication {
    let answer: @Sendable (WorkerRequest) throws -> WorkerResponse
    init(_ answer: @escaping @Sendable (WorkerRequest) throws -> WorkerResponse) { self.answer = answer }
    func respond(to request: WorkerRequest) throws -> WorkerResponse { try self.answer(request) }
}

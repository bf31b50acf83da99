import Foundation
import Synchronization

@testable import Upstream

/// A server that does what the test says with each connection, on a thread for each. Lives until it is dropped.
final class FakeUpstream: Sendable {
    let port: Int
    private let listener: CInt
    private let accepted = Mutex(0)

    /// Connections so far.
    var connections: Int { self.accepted.withLock { $0 } }
    var address: UpstreamAddress { .tcp(host: "127.0.0.1", port: self.port) }

    /// - Parameter serve: has the connection and its number, from 0; the connection ends when it returns.
    init(port: Int = 0, _ serve: @escaping @Sendable (Socket, Int) throws -> Void) throws {
        let (listener, port) = try Self.listen(port: port)
        (self.listener, self.port) = (listener, port)
        Thread.detachNewThread { [weak self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else {
                    if errno == EINVAL { break }
                    // No descriptor is left, or the visitor is gone already.
                    usleep(1_000)
                    continue
                }
                let number = self?.accepted.withLock { count in
                    defer { count += 1 }
                    return count
                }
                let socket = Socket(adopting: descriptor)
                Thread.detachNewThread { try? serve(socket, number ?? 0) }
            }
            // Here and not by whoever drops us: this thread may not have come back to `accept` by then, and would take the
            // visitors of whoever has got the number next.
            close(listener)
        }
    }

    deinit { shutdown(self.listener, CInt(SHUT_RDWR)) }

    /// Answers every request alike, on kept-alive connections.
    static func answering(
        port: Int = 0, _ answer: @escaping @Sendable (Message) -> String
    ) throws -> FakeUpstream {
        try FakeUpstream(port: port) { socket, _ in
            while true { try socket.send(answer(try socket.readMessage())) }
        }
    }

    static func listen(port: Int = 0) throws -> (CInt, Int) {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && Foundation.listen(listener, 1024) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound else { throw Socket.Failure(description: "listen: \(String(cString: strerror(errno)))") }
        return (listener, Int(in_port_t(bigEndian: address.sin_port)))
    }

    /// A port nobody listens on.
    static func deadPort() throws -> Int {
        let (listener, port) = try Self.listen()
        close(listener)
        return port
    }
}

/// What several threads hand to the test, in order.
final class Mailbox<Value: Sendable>: Sendable {
    private let condition = NSCondition()
    private let values = Mutex<[Value]>([])

    func put(_ value: Value) {
        self.values.withLock { $0.append(value) }
        self.condition.lock()
        self.condition.broadcast()
        self.condition.unlock()
    }

    /// The next one; waits at most ten seconds.
    func take() throws -> Value {
        let limit = Date(timeIntervalSinceNow: 10)
        self.condition.lock()
        defer { self.condition.unlock() }
        while true {
            if let value = self.values.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return value }
            guard self.condition.wait(until: limit) else { throw Socket.Failure(description: "nothing came") }
        }
    }

    var count: Int { self.values.withLock { $0.count } }
}

func ok(_ body: String, _ more: String = "") -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\(more)\r\n\(body)"
}

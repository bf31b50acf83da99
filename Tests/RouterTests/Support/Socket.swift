import Foundation

/// A blocking stream socket for tests: the browser's end, or an upstream's. Every wait is bounded.
final class Socket: @unchecked Sendable {  // used by one thread at a time
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let descriptor: CInt
    private var buffer: [UInt8] = []
    private(set) var isAtEnd = false

    init(adopting descriptor: CInt, seconds: Int = 10) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        // A handed-over socket is non-blocking.
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    }

    deinit { close(self.descriptor) }

    static func connect(port: Int) throws -> Socket {
        let socket = try Self.unconnected()
        try socket.connect(port: port)
        return socket
    }

    static func unconnected() throws -> Socket {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "socket: \(String(cString: strerror(errno)))") }
        return Socket(adopting: descriptor)
    }

    func connect(port: Int) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(description: "connect: \(String(cString: strerror(errno)))") }
    }

    // MARK: Sending

    func send(_ text: String) throws { try self.send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Foundation.send(self.descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "send: \(String(cString: strerror(errno)))") }
            sent += count
        }
    }

    /// Sends until the system takes no more without waiting; gives how much it took.
    func sendAsMuchAsFits(_ bytes: [UInt8], atMost limit: Int) -> Int {
        var sent = 0
        while sent < limit {
            let count = Foundation.send(
                self.descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
            if count > 0 {
                sent += count
            } else {
                // Room may still come; a standstill of a second is one, also where others want the processor.
                var entry = pollfd(fd: self.descriptor, events: Int16(POLLOUT), revents: 0)
                if poll(&entry, 1, 1_000) <= 0 || entry.revents & Int16(POLLERR | POLLHUP) != 0 { break }
            }
        }
        return sent
    }

    func endOutput() { shutdown(self.descriptor, CInt(SHUT_WR)) }

    /// Closes with a reset, as a process that crashed with unread bytes does.
    func reset() {
        var linger = Foundation.linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        shutdown(self.descriptor, CInt(SHUT_RD))
    }

    // MARK: Receiving

    private func fill() throws {
        var piece = [UInt8](repeating: 0, count: 65_536)
        let count = recv(self.descriptor, &piece, piece.count, 0)
        if count > 0 {
            self.buffer += piece[..<count]
        } else if count == 0 {
            self.isAtEnd = true
        } else {
            throw Failure(description: "recv: \(String(cString: strerror(errno)))")
        }
    }

    /// Up to and including `marker`.
    func read(until marker: String) throws -> String {
        let marker = Array(marker.utf8)
        while true {
            if let end = Self.end(of: marker, in: self.buffer) {
                defer { self.buffer.removeSubrange(..<end) }
                return String(decoding: self.buffer[..<end], as: UTF8.self)
            }
            guard !self.isAtEnd else {
                throw Failure(description: "ended after: \(String(decoding: self.buffer, as: UTF8.self))")
            }
            try self.fill()
        }
    }

    private static func end(of marker: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= marker.count else { return nil }
        return (marker.count...bytes.count).first { bytes[($0 - marker.count)..<$0].elementsEqual(marker) }
    }

    func read(_ count: Int) throws -> [UInt8] {
        while self.buffer.count < count {
            guard !self.isAtEnd else { throw Failure(description: "ended \(count - self.buffer.count) bytes early") }
            try self.fill()
        }
        defer { self.buffer.removeSubrange(..<count) }
        return Array(self.buffer[..<count])
    }

    func readText(_ count: Int) throws -> String { String(decoding: try self.read(count), as: UTF8.self) }

    func readToEnd() throws -> String {
        while !self.isAtEnd { try self.fill() }
        defer { self.buffer.removeAll() }
        return String(decoding: self.buffer, as: UTF8.self)
    }

    /// Whether the other side has closed (or reset) and nothing is left to read.
    func ends() -> Bool {
        do {
            while !self.isAtEnd {
                guard self.buffer.isEmpty else { return false }
                try self.fill()
            }
            return self.buffer.isEmpty
        } catch { return errno == ECONNRESET }
    }

    /// A head and its body, by length or in chunks.
    func readMessage(hasBody: Bool = true) throws -> Message {
        let head = try self.read(until: "\r\n\r\n")
        var message = Message(head: head)
        guard hasBody else { return message }
        if message["transfer-encoding"]?.lowercased() == "chunked" {
            while true {
                let size = Int(try self.read(until: "\r\n").dropLast(1), radix: 16) ?? 0
                if size == 0 { break }
                message.chunks.append(try self.read(size))
                _ = try self.read(2)
            }
            while true {
                let line = try self.read(until: "\r\n")
                if line == "\r\n" { break }
                message.trailers.append(String(line.dropLast(1)))
            }
        } else if let length = message["content-length"].flatMap(Int.init) {
            message.chunks = [try self.read(length)]
        }
        return message
    }
}

/// A request or an answer, as it was read.
struct Message {
    var head: String
    var chunks: [[UInt8]] = []
    var trailers: [String] = []

    var lines: [String] { self.head.split(separator: "\r\n").map(String.init) }
    var firstLine: String { self.lines.first ?? "" }
    var status: Int { Int(self.firstLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }
    var bytes: [UInt8] { self.chunks.reduce(into: []) { $0 += $1 } }
    var body: String { String(decoding: self.bytes, as: UTF8.self) }

    func values(_ name: String) -> [String] {
        self.lines.dropFirst().compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == name.lowercased() else { return nil }
            return parts[1].trimmingCharacters(in: .whitespaces)
        }
    }

    subscript(name: String) -> String? { self.values(name).first }
}

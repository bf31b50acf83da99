import CDescriptors
import Glibc
import NIOCore
import NIOPosix
import Settings
import Sockets
import Synchronization
import TestSupport
import Testing

@testable import Gateway

/// A router's end of a gateway's hand-off socket.
private final class HandoffLine {
    let descriptor: CInt

    init(_ path: String) throws {
        self.descriptor = socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0)
        guard UnixSocketAddress(path: path + ".handoff")?.connect(self.descriptor) == true else {
            throw IOError(errnoCode: errno, reason: "connect")
        }
    }

    deinit { close(self.descriptor) }

    /// Sends one packet, waiting for room.
    func send(_ bytes: [UInt8], _ descriptor: CInt) {
        while cdescriptors_send_descriptor(self.descriptor, bytes, bytes.count, descriptor) < 0, errno == EAGAIN {
            var entry = pollfd(fd: self.descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&entry, 1, 1_000)
        }
    }

    /// SCM_RIGHTS, whose type in Swift differs between systems.
    private static let rights: CInt = 1

    /// Two descriptors in one packet.
    func sendTwo(_ one: CInt, _ two: CInt) {
        let length = MemoryLayout<cmsghdr>.size + 2 * MemoryLayout<CInt>.size
        var control = [UInt8](repeating: 0, count: (length + 7) & ~7)
        control.withUnsafeMutableBytes { bytes in
            var header = cmsghdr()
            header.cmsg_len = length
            header.cmsg_level = SOL_SOCKET
            header.cmsg_type = Self.rights
            bytes.storeBytes(of: header, as: cmsghdr.self)
            bytes.storeBytes(of: one, toByteOffset: MemoryLayout<cmsghdr>.size, as: CInt.self)
            bytes.storeBytes(of: two, toByteOffset: MemoryLayout<cmsghdr>.size + 4, as: CInt.self)
            var version: UInt8 = 1
            withUnsafeMutablePointer(to: &version) { version in
                var vector = iovec(iov_base: version, iov_len: 1)
                withUnsafeMutablePointer(to: &vector) { vector in
                    var message = msghdr()
                    message.msg_iov = vector
                    message.msg_iovlen = 1
                    message.msg_control = bytes.baseAddress
                    message.msg_controllen = length
                    #expect(sendmsg(self.descriptor, &message, 0) == 1)
                }
            }
        }
    }
}

/// A connected pair: the browser's end, and the one to hand over.
private struct Pair {
    let browser: CInt
    let handed: CInt

    init() {
        var ends: [CInt] = [0, 0]
        socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends)
        (self.browser, self.handed) = (ends[0], ends[1])
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(self.browser, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    func ask(_ request: String) {
        let bytes = Array(request.utf8)
        _ = Glibc.send(self.browser, bytes, bytes.count, CInt(MSG_NOSIGNAL))
    }

    /// What comes until the end, or until as many bytes are there.
    func read(atLeast count: Int = .max) -> String {
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4_096)
        while text.count < count {
            let length = recv(self.browser, &piece, piece.count, 0)
            guard length > 0 else { break }
            text += piece.prefix(length)
        }
        return String(decoding: text, as: UTF8.self)
    }
}

private let request = "GET /channels/carillon.js HTTP/1.1\r\nHost: a\r\n\r\n"

/// Sockets that routers hand over, and what else they may send.
@Suite(.timeLimit(.minutes(1)), .serialized) struct HandoffTests {
    /// A gateway that also listens at a Unix socket.
    private func withSocket(_ body: (LiveGateway, String) async throws -> Void) async throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let path = folder.file("gateway.sock")
        try await withGateway { gateway in
            try await gateway.server.listen(on: .unix(path: path))
            try await body(gateway, path)
        }
    }

    /// Hands a socket over and reads the answer.
    private func servesNext(_ line: HandoffLine) {
        let pair = Pair()
        pair.ask(request)
        line.send([1], pair.handed)
        close(pair.handed)
        #expect(pair.read().hasPrefix("HTTP/1.1 200 "))
        close(pair.browser)
    }

    @Test func aHandedSocketIsServedFromItsFirstByte() async throws {
        try await self.withSocket { gateway, path in
            let line = try HandoffLine(path)
            for _ in 0..<20 { self.servesNext(line) }
            #expect(gateway.metric("carillon_gateway_handoffs_total") == 20)
            #expect(gateway.metric("carillon_gateway_bad_handoffs_total") == 0)
        }
    }

    @Test func whatIsNoHandoffIsCountedAndClosedAndTheNextIsServed() async throws {
        try await self.withSocket { gateway, path in
            let line = try HandoffLine(path)
            self.servesNext(line)
            let good = Pair()
            line.send([2], good.handed)  // another version
            line.send([1], -1)  // no descriptor
            line.send([1, 1], good.handed)  // two bytes
            line.send([], good.handed)  // none
            var pipe: [CInt] = [0, 0]
            Glibc.pipe(&pipe)
            line.send([1], pipe[1])  // no socket
            let listening = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            listen(listening, 1)
            line.send([1], listening)  // a socket that listens
            let datagrams = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
            line.send([1], datagrams)  // another kind of socket
            for descriptor in [pipe[1], listening, datagrams, good.handed] { close(descriptor) }
            // Nobody has the other ends any more, so they have been closed there too.
            #expect(good.read() == "")
            var byte: UInt8 = 0
            #expect(read(pipe[0], &byte, 1) == 0)
            for descriptor in [good.browser, pipe[0]] { close(descriptor) }

            self.servesNext(line)
            #expect(gateway.metric("carillon_gateway_bad_handoffs_total") == 7)
            #expect(gateway.log.lines("Hand-off refused").count <= 7)
            #expect(await gateway.log.line("Hand-off refused")["error"]?.hasPrefix("packet of version 2") == true)
        }
    }

    @Test func ofSeveralDescriptorsTheFirstIsServedAndTheOthersAreClosed() async throws {
        try await self.withSocket { gateway, path in
            let line = try HandoffLine(path)
            let (first, second) = (Pair(), Pair())
            first.ask(request)
            line.sendTwo(first.handed, second.handed)
            close(first.handed)
            close(second.handed)
            #expect(first.read().hasPrefix("HTTP/1.1 200 "))
            #expect(second.read() == "")
            close(first.browser)
            close(second.browser)
            self.servesNext(line)
        }
    }

    @Test func aFloodOfRubbishKeepsNoOtherRouterWaiting() async throws {
        try await self.withSocket { gateway, path in
            let (bad, good) = (try HandoffLine(path), try HandoffLine(path))
            let flood = PlainFlood(bad)
            for _ in 0..<20 { self.servesNext(good) }
            let sent = flood.stop()
            while gateway.metric("carillon_gateway_bad_handoffs_total") < sent { await Task.yield() }
            #expect(gateway.log.lines("Hand-off refused").count < sent / 10, "at a bounded rate")
        }
    }

    @Test func aHandedSocketWhoseBrowserHasGoneLeavesNothingBehind() async throws {
        try await self.withSocket { gateway, path in
            let line = try HandoffLine(path)
            self.servesNext(line)
            for _ in 0..<20 {
                let pair = Pair()
                pair.ask("GET /channels/gr")
                close(pair.browser)
                line.send([1], pair.handed)
                close(pair.handed)
            }
            self.servesNext(line)
            #expect(gateway.server.context.census.connections == 0)
        }
    }

    @Test func whoComesThroughTheUnixSocketIsATrustedProxy() async throws {
        try await self.withSocket { gateway, path in
            let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
            try #require(UnixSocketAddress(path: path)?.connect(descriptor) == true)
            let text = LiveBrowser.handshake("/channels/groups/a", fields: "X-Forwarded-For: 192.0.2.5\r\n")
            let bytes = Array(text.utf8)
            #expect(Glibc.send(descriptor, bytes, bytes.count, 0) == bytes.count)
            #expect(await gateway.log.line("Browser connected")["peer"] == "192.0.2.5")
            close(descriptor)
        }
    }
}

/// Sends rubbish on a thread of its own until it is stopped.
private final class PlainFlood: Sendable {
    private let state = FloodState()

    init(_ line: HandoffLine) {
        let (state, descriptor) = (self.state, line.descriptor)
        _ = PlainThread.start(name: "flood") {
            var count = 0
            while !state.isStopped.load(ordering: .acquiring) || count < 2_000 {
                var byte: UInt8 = 7
                if cdescriptors_send_descriptor(descriptor, &byte, 1, -1) == 1 { count += 1 } else { sched_yield() }
            }
            state.sent.store(count, ordering: .releasing)
        }
    }

    /// How many packets it sent, two thousand at the least.
    func stop() -> Int {
        self.state.isStopped.store(true, ordering: .releasing)
        while self.state.sent.load(ordering: .acquiring) == 0 { sched_yield() }
        return self.state.sent.load(ordering: .acquiring)
    }
}

private final class FloodState: Sendable {
    let isStopped = Atomic(false)
    let sent = Atomic(0)
}

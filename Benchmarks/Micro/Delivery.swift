import ChannelLayer
import Gateway
import Glibc
import JSON
import Logging
import NIOCore
import NIOPosix

/// The hub with followers: a gateway in this process whose browsers are the other ends of socket pairs.
///
/// The time is that of the gateway's event loop thread, per delivery, the `send` on a Unix socket included; "bare" is a
/// loop of such `send`s and nothing else. The difference is what the hub, the session and the queue cost.
func delivery(_ measure: Measure) async {
    let name = "gateway: deliver to one of \(Follower.count) followers"
    guard measure.wants(name) else { return }
    do {
        let bench = try await DeliveryBench()
        for joined in [1, 8] {
            let message = joined == 1 ? "1 message" : "\(joined) messages"
            measure.report("\(name), \(message) a turn", try bench.nanosecondsPerDelivery(joined: joined))
            measure.report("  bare send, the same", try bench.nanosecondsPerBareDelivery(joined: joined))
        }
        await bench.stop()
    } catch {
        print("\(name): \(error)")
        exit(1)
    }
}

private enum Follower {
    static let count = 1000
}

private struct DeliveryBench {
    private static let rounds = 200

    private let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let layer = MemoryLayer()
    private let gateway: GatewayServer
    private let browsers: [CInt]
    private let pairs: [(CInt, CInt)]
    private let publication: LayerMessage
    private let frameBytes: Int

    init() async throws {
        var files = rlimit(rlim_cur: 0, rlim_max: 0)
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        files.rlim_cur = files.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)

        let payload = ByteBuffer(string: Sample.publication(bytes: 128))
        self.publication = .publication(.json(try JSONText(validating: payload)))
        self.frameBytes = payload.readableBytes + 4
        let path = try PathPattern("/channels/groups/{name}")
        var configuration = GatewayConfiguration()
        configuration.routes = [
            RouteConfiguration(path: path, groups: [try Template("{name}", captures: path.captureNames)])
        ]
        self.gateway = try GatewayServer(
            configuration: configuration, layer: self.layer, eventLoopGroup: self.threads,
            logger: Logger(label: "micro", factory: { _ in SwiftLogNoOpLogHandler() }))
        self.pairs = try (0..<Follower.count).map { _ in try Self.pair() }
        var browsers: [CInt] = []
        for _ in 0..<Follower.count { browsers.append(try Self.connect(to: self.gateway)) }
        self.browsers = browsers
    }

    func stop() async {
        for browser in self.browsers { close(browser) }
        for (one, other) in self.pairs {
            close(one)
            close(other)
        }
        await self.gateway.drain(within: .zero)
        try? await self.threads.shutdownGracefully()
    }

    /// A turn is what is published before the loop thread looks: it is kept busy until all of it is there.
    func nanosecondsPerDelivery(joined: Int) throws -> Double {
        let group = try GroupName("news")
        let loop = self.threads.next()
        let clock = { try loop.submit { Self.threadNanoseconds() }.wait() }
        var start: UInt64 = 0
        for round in -20..<Self.rounds {
            if round == 0 { start = try clock() }
            try loop.submit {
                for _ in 0..<joined { self.layer.submit(self.publication, toGroup: group, completion: nil) }
            }.wait()
            for browser in self.browsers { try Self.receive(browser, joined * self.frameBytes) }
        }
        return Double(try clock() - start) / Double(Self.rounds * joined * self.browsers.count)
    }

    func nanosecondsPerBareDelivery(joined: Int) throws -> Double {
        let bytes = [UInt8](repeating: 0x78, count: joined * self.frameBytes)
        let loop = self.threads.next()
        var spent: UInt64 = 0
        for round in -20..<Self.rounds {
            let pairs = self.pairs
            let time = try loop.submit {
                let start = Self.threadNanoseconds()
                for (one, _) in pairs { _ = send(one, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
                return Self.threadNanoseconds() - start
            }.wait()
            if round >= 0 { spent += time }
            for (_, other) in pairs { try Self.receive(other, bytes.count) }
        }
        return Double(spent) / Double(Self.rounds * joined * pairs.count)
    }

    // MARK: Sockets

    private static func pair() throws -> (CInt, CInt) {
        var ends: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw IOError(errnoCode: errno, reason: "socketpair (the limit of open files?)")
        }
        return (ends[0], ends[1])
    }

    /// A browser that has shaken hands.
    private static func connect(to gateway: GatewayServer) throws -> CInt {
        let (ours, theirs) = try Self.pair()
        let request = Array(Sample.handshake.utf8)
        _ = send(ours, request, request.count, 0)
        gateway.adopt(descriptor: theirs)
        var answer: [UInt8] = []
        while !answer.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            var byte: UInt8 = 0
            guard recv(ours, &byte, 1, 0) == 1 else { throw Incomplete() }
            answer.append(byte)
        }
        guard answer.starts(with: "HTTP/1.1 101".utf8) else { throw Incomplete() }
        return ours
    }

    private static func receive(_ socket: CInt, _ count: Int) throws {
        let got = withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { bytes in
            recv(socket, bytes.baseAddress, count, Int32(MSG_WAITALL))
        }
        guard got == count else { throw Incomplete() }
    }

    private static func threadNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

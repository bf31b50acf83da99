import ChannelLayer
import Synchronization
import TestSupport
import Testing

@testable import RabbitMQLayer

/// What a broker does to those who use it. One after the other, on a node that no other test needs.
@Suite(.serialized, .timeLimit(.minutes(5))) struct FaultTests {
    private static let node = Mutex<Task<(RabbitMQProcess, TestCertificates), any Error>?>(nil)

    /// The node, and what it wants to see of clients on its secure port.
    static func secureBroker() async throws -> (RabbitMQProcess, TestCertificates) {
        let start = self.node.withLock { task in
            let start =
                task
                ?? Task {
                    let made = Mutex<TestCertificates?>(nil)
                    let broker = try await RabbitMQProcess.started { folder in
                        let certificates = try TestCertificates(in: folder)
                        made.withLock { $0 = certificates }
                        return certificates.brokerLines
                    }
                    return (broker, try #require(made.withLock { $0 }))
                }
            task = start
            return start
        }
        return try await start.value
    }

    static func broker() async throws -> RabbitMQProcess { try await self.secureBroker().0 }

    private let drops = DropRecorder()
    private let heard = FeedRecorder()
    let group = GroupName(unchecked: "room")

    func layer(_ configuration: RabbitMQConfiguration) -> RabbitMQLayer {
        RabbitMQLayer(configuration: configuration, observer: self.drops, logger: quietLogger)
    }

    /// A layer whose feed follows the group and which takes messages, with short times.
    private func following(
        _ broker: RabbitMQProcess, _ change: (inout RabbitMQConfiguration) -> Void = { _ in }
    ) async throws -> RabbitMQLayer {
        let layer = self.layer(
            try testConfiguration(broker) {
                $0.timeout = .seconds(2)
                $0.connectTimeout = .seconds(2)
                $0.heartbeat = .seconds(2)
                change(&$0)
            })
        try await until {
            do {
                try await layer.follow(self.group, by: layer.openFeed(self.heard))
                return true
            } catch let error as LayerError where error.code == .unavailable {
                return false
            }
        }
        // Messages have a connection of their own, which may come later.
        await layer.sendUntilTaken(numbered(0), toGroup: GroupName(unchecked: "nobody"))
        return layer
    }

    /// What sending to the group fails with, as soon as it says `words`: who waited in vain for a broker that has not
    /// answered yet is told that.
    private func failure(of layer: RabbitMQLayer, saying words: String) async -> LayerError? {
        var error: LayerError?
        for _ in 0..<20 where error?.message.contains(words) != true {
            error = await layer.sendError(numbered(1), toGroup: self.group)
        }
        return error
    }

    /// After the fault: everything works, what is sent arrives once, and the gap was told once.
    private func expectRecovery(_ layer: RabbitMQLayer) async throws {
        await self.heard.restorations(1)
        #expect(self.heard.interruptions.count == 1)
        #expect(self.heard.restorations == 1)
        #expect(self.heard.interruptions.allSatisfy { $0.code == .unavailable })
        await layer.sendUntilTaken(numbered(-1), toGroup: self.group)
        try await until { self.heard.arrivals.last?.message.number == -1 }
        let numbers = self.heard.arrivals.compactMap(\.message.number).filter { $0 >= 0 }
        #expect(Set(numbers).count == numbers.count, "nothing twice")
        #expect(numbers == numbers.sorted())
        await layer.close()
    }

    @Test(arguments: ["killed", "stopped in order"])
    func aBrokerMayGoAndComeBack(_ how: String) async throws {
        let broker = try await Self.broker()
        let layer = try await self.following(broker)
        let channel = try await layer.newChannel(prefix: "specific")
        try await layer.send(numbered(1), toGroup: self.group)
        if how == "killed" { try await broker.kill() } else { try await broker.control("stop_app") }
        let error = await layer.sendError(numbered(2), toGroup: self.group)
        #expect(error?.code == .unavailable)
        layer.submit(numbered(3), toGroup: self.group, completion: nil)
        try await until { self.drops.dropped(.unavailable) == ["room": 1] }
        if how == "killed" { try await broker.start() } else { try await broker.control("start_app") }
        await self.heard.restorations(1)
        try await until { (try? await layer.send(numbered(4), to: channel)) != nil }
        #expect(try await layer.receive(from: channel).number == 4, "channels' names go on to be good")
        try await self.expectRecovery(layer)
    }

    @Test func connectionsMayBeClosedFromTheManagementSide() async throws {
        let broker = try await Self.broker()
        let layer = try await self.following(broker)
        try await layer.send(numbered(1), toGroup: self.group)
        try await broker.control("close_all_connections", "maintenance")
        try await self.expectRecovery(layer)
    }

    @Test func theQueueMayBeDeletedUnderUs() async throws {
        let broker = try await Self.broker()
        let layer = try await self.following(broker)
        let queues = try await broker.control("list_queues", "name").split(separator: "\n").map(String.init)
        let ours = queues.filter { $0.hasPrefix("carillon.") && $0.contains(layer.processName) }
        let main = try #require(ours.first { !$0.hasSuffix(".dropped") })
        // Ends the consumer, and says so.
        try await broker.control("delete_queue", main)
        try await self.expectRecovery(layer)
    }

    @Test func theExchangeMayBeDeletedUnderUs() async throws {
        let broker = try await Self.broker()
        let exchange = unique("deleted")
        let layer = try await self.following(broker) { $0.groupsExchange = exchange }
        try await layer.send(numbered(1), toGroup: self.group)
        try await broker.control(
            "eval",
            "rabbit_exchange:delete(rabbit_misc:r(<<\"/\">>, exchange, <<\"\(exchange)\">>), false, <<\"test\">>).")
        let error = await layer.sendError(numbered(2), toGroup: self.group)
        #expect(error?.message.contains("404") == true)
        try await self.expectRecovery(layer)
    }

    @Test func anExchangeThatAnotherProgramMadeOtherwiseIsAClearError() async throws {
        let broker = try await Self.broker()
        let name = unique("taken")
        let other = try await self.following(broker) { $0.publishExchange = name }
        let layer = self.layer(
            try testConfiguration(broker) {
                $0.groupsExchange = name
                $0.timeout = .seconds(2)
            })
        let error = await self.failure(of: layer, saying: "exchange")
        #expect(error?.code == .unavailable)
        for words in ["exchange \"\(name)\"", "config.groups_exchange", "made it differently", "inequivalent arg"] {
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
        let follow = await #expect(throws: LayerError.self) {
            try await layer.follow(self.group, by: layer.openFeed(FeedRecorder()))
        }
        #expect(follow?.message.contains("made it differently") == true)
        await layer.close()
        await other.close()
    }

    @Test func anAlarmIsToldAndHoldsNobodyUp() async throws {
        let broker = try await Self.broker()
        let layer = try await self.following(broker)
        try await layer.send(numbered(1), toGroup: self.group)
        try await broker.control("set_vm_memory_high_watermark", "0")
        var error: LayerError?
        while error == nil { error = await layer.sendError(numbered(2), toGroup: self.group) }
        #expect(error?.code == .unavailable)
        // Those that come now are told why.
        let second = await self.failure(of: layer, saying: "takes no messages for now")
        #expect(second?.message.contains("takes no messages for now") == true, "\(second?.message ?? "")")
        layer.submit(numbered(4), toGroup: self.group, completion: nil)
        try await until { self.drops.dropped(.unavailable) == ["room": 1] }
        try await broker.control("set_vm_memory_high_watermark", "0.4")
        await layer.sendUntilTaken(numbered(5), toGroup: self.group)
        try await until { self.heard.arrivals.last?.message.number == 5 }
        #expect(self.heard.interruptions.isEmpty, "who only listens is not concerned")
        await layer.close()
    }

    @Test func aBrokerMayFreezeForLongerThanTheHeartbeat() async throws {
        let broker = try await Self.broker()
        let layer = try await self.following(broker)
        try await layer.send(numbered(1), toGroup: self.group)
        try broker.freeze()
        let frozen = ContinuousClock.now
        layer.submit(numbered(2), toGroup: self.group, completion: nil)
        let error = await layer.sendError(numbered(3), toGroup: self.group)
        #expect(error?.code == .unavailable)
        #expect(ContinuousClock.now - frozen < .seconds(5), "nobody is held up")
        try await until { !self.heard.interruptions.isEmpty }
        #expect(ContinuousClock.now - frozen < .seconds(15), "silence is noticed by the heartbeat")
        try await until { ContinuousClock.now - frozen > .seconds(12) }
        try broker.thaw()
        try await self.expectRecovery(layer)
    }

    @Test func aHundredThousandMessagesWhileConnectionsAreCut() async throws {
        let broker = try await Self.broker()
        let exchange = unique("cut")
        let layer = try await self.following(broker) { $0.groupsExchange = exchange }
        let sender = self.layer(
            try testConfiguration(broker) {
                $0.groupsExchange = exchange
                $0.publishExchange = nil
                $0.timeout = .seconds(20)
            })
        let cutter = Task {
            var cuts = 0
            while !Task.isCancelled {
                try await broker.control("close_all_connections", "cut")
                cuts += 1
            }
            return cuts
        }
        let ledger = await self.send(100_000, by: sender)
        cutter.cancel()
        #expect(try await cutter.value >= 1)
        try await until { self.heard.restorations == self.heard.interruptions.count }
        // Of the last cut the listener may learn later than the sender, and what is sent before it is back is lost.
        try await until {
            await sender.sendUntilTaken(numbered(-1), toGroup: self.group)
            return self.heard.arrivals.last?.message.number == -1
        }
        let numbers = self.heard.arrivals.compactMap(\.message.number).filter { $0 >= 0 }
        #expect(numbers == numbers.sorted(), "in order")
        let arrived = Set(numbers)
        #expect(arrived.count == numbers.count, "nothing twice")
        #expect(ledger.taken.count + ledger.failed == 100_000, "each one is answered for")
        let lost = Set(ledger.taken).subtracting(arrived)
        #expect(lost.isEmpty || self.heard.interruptions.count > 0, "what is lost is lost in a gap that was told")
        #expect(self.heard.interruptions.count >= 1)
        #expect(arrived.count > 20_000, "\(arrived.count) arrived, \(lost.count) lost in gaps, \(ledger.failed) failed")
        await sender.close()
        await layer.close()
    }

    /// What became of each message.
    private final class Ledger: Sendable {
        private let state = Mutex<(taken: [Int], failed: Int)>(([], 0))

        func note(_ number: Int, _ error: LayerError?) {
            self.state.withLock { if error == nil { $0.taken.append(number) } else { $0.failed += 1 } }
        }

        var taken: [Int] { self.state.withLock { $0.taken } }
        var failed: Int { self.state.withLock { $0.failed } }
    }

    /// Sends with some thousands on their way.
    private func send(_ count: Int, by sender: RabbitMQLayer) async -> Ledger {
        let ledger = Ledger()
        let turnstile = Turnstile()
        for number in 0..<count {
            await turnstile.enter(limit: 4_000)
            sender.submit(numbered(number), toGroup: self.group) { error in
                ledger.note(number, error)
                turnstile.leave()
            }
        }
        await turnstile.empty()
        return ledger
    }

    // MARK: Who may do what

    @Test func whatIsNotAllowedIsNamed() async throws {
        let broker = try await Self.broker()
        for (user, configure, write, read) in [
            ("nobody", nil, nil, nil), ("reader", "^$", "^$", ".*"), ("maker", ".*", "^$", ".*"),
        ] as [(String, String?, String?, String?)] {
            try await broker.control("add_user", user, "secret")
            if let configure, let write, let read {
                try await broker.control("set_permissions", user, configure, write, read)
            }
        }
        let cases = [
            (broker.url(user: "guest:wrong"), ["does not take the user \"guest\"", "config.host"]),
            (broker.url(virtualHost: "nowhere"), ["no virtual host \"nowhere\"", "config.host", "add_vhost"]),
            (broker.url(user: "nobody:secret"), ["may not use the virtual host \"/\"", "set_permissions"]),
            (broker.url(user: "reader:secret"), ["\"reader\"", "configure permission", "config.groups_exchange"]),
            (broker.url(user: "maker:secret"), ["\"maker\"", "write permission", "config.groups_exchange"]),
        ]
        for (url, words) in cases {
            let address = try RabbitMQAddress(url)
            let layer = self.layer(
                try testConfiguration(broker) {
                    $0.addresses = [address]
                    $0.timeout = .seconds(2)
                })
            let message = await self.failure(of: layer, saying: words[0])?.message ?? ""
            for word in words { #expect(message.contains(word), "\(message)") }
            #expect(!message.contains("secret"))
            await layer.close()
        }
    }

    @Test func theNextNodeIsTriedWhenOneIsGone() async throws {
        let broker = try await Self.broker()
        let layer = try await self.following(broker) {
            $0.addresses.insert(RabbitMQAddress(port: 1), at: 0)
        }
        try await layer.send(numbered(1), toGroup: self.group)
        #expect(await self.heard.arrivals(1).count == 1)
        await layer.close()
    }
}

extension FaultTests {
    /// A layer with `ssl` settings, and what its first message says when it fails.
    private func secureError(
        host: String = "localhost", _ change: (inout RabbitMQTLS, TestCertificates) -> Void
    ) async throws -> String? {
        let (broker, files) = try await Self.secureBroker()
        let layer = self.layer(
            try testConfiguration(broker) {
                $0.addresses = [RabbitMQAddress(host: host, port: files.port, isSecure: true)]
                $0.timeout = .seconds(3)
                change(&$0.tls, files)
            })
        var error = await layer.sendError(numbered(1), toGroup: self.group)
        // The reason, or success, when there has been time for it.
        for _ in 0..<10 where error.map({ !$0.message.contains(": ") }) == true {
            error = await layer.sendError(numbered(1), toGroup: self.group)
        }
        await layer.close()
        return error?.message
    }

    @Test func aBrokerThatWantsACertificateGetsOne() async throws {
        let error = try await self.secureError {
            $0.authorityFile = $1.authority
            $0.certificateFile = $1.certificate
            $0.keyFile = $1.key
        }
        #expect(error == nil)
    }

    @Test func whatIsWrongWithCertificatesIsSaid() async throws {
        let unknown = try await self.secureError { tls, files in
            tls.certificateFile = files.certificate
            tls.keyFile = files.key
        }
        #expect(unknown?.contains("config.ssl.ca") == true, "\(unknown ?? "")")
        let noFile = try await self.secureError { tls, _ in tls.authorityFile = "/nowhere/ca.pem" }
        #expect(noFile?.contains("/nowhere/ca.pem cannot be read") == true, "\(noFile ?? "")")
        let address = try await self.secureError(host: "127.0.0.1") {
            $0.authorityFile = $1.authority
            $0.certificateFile = $1.certificate
            $0.keyFile = $1.key
        }
        #expect(address?.contains("the certificate must name \"127.0.0.1\"") == true, "\(address ?? "")")
        let anonymous = try await self.secureError { $0.authorityFile = $1.authority }
        #expect(anonymous != nil, "the broker wants a certificate")
    }
}

/// Lets only so many be inside.
private final class Turnstile: Sendable {
    private struct State {
        var inside = 0
        var waiters: [(limit: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    func enter(limit: Int) async {
        await self.wait(limit: limit)
        self.state.withLock { $0.inside += 1 }
    }

    func leave() {
        let due = self.state.withLock { state in
            state.inside -= 1
            let due = state.waiters.filter { state.inside < $0.limit }
            state.waiters.removeAll { state.inside < $0.limit }
            return due
        }
        for waiter in due { waiter.continuation.resume() }
    }

    /// Waits until nobody is inside.
    func empty() async { await self.wait(limit: 1) }

    private func wait(limit: Int) async {
        await withCheckedContinuation { continuation in
            let isFree = self.state.withLock { state in
                if state.inside >= limit { state.waiters.append((limit, continuation)) }
                return state.inside < limit
            }
            if isFree { continuation.resume() }
        }
    }
}

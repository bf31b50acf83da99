import ChannelLayer
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

@Suite struct RedisSubscriptionsTests {
    private var subscriptions = RedisSubscriptions()
    private let told = Told()

    /// Who was told that a subscription is ready, or why not.
    private final class Told: Sendable {
        let all = Mutex<[String]>([])
        func ready(_ name: String) -> RedisSubscriptions.Ready {
            { error in self.all.withLock { $0.append(error.map { "\(name): \($0.code)" } ?? name) } }
        }
        var text: [String] { self.all.withLock { $0 } }
    }

    private func topic(_ name: String) -> RedisTopic { RedisTopic(ChannelName(unchecked: name)) }

    private mutating func subscribe(_ names: String...) {
        for name in names { self.subscriptions.subscribe(self.topic(name), self.told.ready(name))?(nil) }
    }

    private mutating func sent() -> [String] {
        self.subscriptions.takeUnsent().map { request in
            "\(request.kind) " + request.names.map { String(buffer: $0) }.joined(separator: " ")
        }
    }

    private mutating func push(_ kind: String, _ name: String) {
        let bulk = { (text: String) in RedisReply.bulk(ByteBuffer(string: text)) }
        self.take(self.subscriptions.received(.array([bulk(kind), bulk(name), .integer(1)])))
    }

    private mutating func error() {
        self.take(self.subscriptions.received(.error(RedisServerError(message: "NOPERM no"))))
    }

    private func take(_ answer: RedisSubscriptions.Answer) {
        switch answer {
        case .ready(let waiters): for ready in waiters { ready(nil) }
        case .refused(let topic, let waiters):
            for ready in waiters { ready(RedisError(.refused, topic.name)) }
        case .ended(let topic): self.told.ready("ended \(topic.name)")(nil)
        case .unexpected: self.told.ready("unexpected")(nil)
        case .nothing: break
        }
    }

    private func name(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    @Test mutating func wishesOfOneTurnAreOneCommand() {
        self.subscriptions.connected()
        self.subscribe("a", "b", "a")
        #expect(self.sent() == ["subscribe a b"])
        #expect(self.subscriptions.missing == 2)
        self.push("subscribe", "a")
        #expect(self.told.text == ["a", "a"])
        self.push("subscribe", "b")
        self.subscribe("b")
        #expect(self.told.text == ["a", "a", "b", "b"], "what is confirmed is ready at once")
        #expect(self.sent() == [])
        #expect(self.subscriptions.missing == 0)
    }

    @Test mutating func theAnswerToAnOldWishConfirmsNoNewOne() {
        self.subscriptions.connected()
        self.subscribe("a")
        #expect(self.subscriptions.unsubscribe(self.topic("a")).count == 1)
        self.subscribe("a")
        #expect(self.sent() == ["subscribe a", "unsubscribe a", "subscribe a"])
        self.push("subscribe", "a")
        #expect(self.told.text == [])
        self.push("unsubscribe", "a")
        self.push("subscribe", "a")
        #expect(self.told.text == ["a"])
        #expect(self.subscriptions.topic(self.name("a")) == self.topic("a"))
    }

    @Test mutating func whatIsGivenUpIsForgotten() {
        self.subscriptions.connected()
        self.subscribe("a")
        _ = self.sent()
        self.push("subscribe", "a")
        _ = self.subscriptions.unsubscribe(self.topic("a"))
        #expect(self.subscriptions.topic(self.name("a")) == nil)
        #expect(self.sent() == ["unsubscribe a"])
        self.push("unsubscribe", "a")
        #expect(self.subscriptions.topics.isEmpty)
        #expect(self.subscriptions.unsubscribe(self.topic("a")).isEmpty)
        #expect(self.sent() == [])
    }

    @Test mutating func aNewConnectionIsToldEverythingInBatches() {
        for number in 0..<1_200 { self.subscribe("n\(number)") }
        #expect(self.sent() == [])
        #expect(self.subscriptions.missing == 1_200)
        self.subscriptions.connected()
        #expect(self.subscriptions.takeUnsent().map(\.names.count) == [500, 500, 200])
        self.subscriptions.disconnected()
        _ = self.subscriptions.unsubscribe(self.topic("n7"))
        #expect(self.subscriptions.missing == 1_199)
        self.subscriptions.connected()
        let requests = self.subscriptions.takeUnsent()
        #expect(requests.map(\.names.count) == [500, 500, 199])
        for request in requests { for name in request.names { self.push("subscribe", String(buffer: name)) } }
        #expect(self.subscriptions.missing == 0)
        #expect(Set(self.told.text).count == 1_199)
    }

    @Test mutating func aRefusedNameDoesNotTakeTheOthersAlong() {
        self.subscriptions.connected()
        self.subscribe("a", "forbidden", "b")
        _ = self.sent()
        self.error()
        #expect(self.sent() == ["subscribe a", "subscribe forbidden", "subscribe b"])
        self.push("subscribe", "a")
        self.error()
        self.push("subscribe", "b")
        #expect(self.told.text == ["a", "forbidden: refused", "b"])
        #expect(self.subscriptions.missing == 0)
        #expect(Set(self.subscriptions.topics.map(\.name)) == ["a", "b"])
    }

    @Test mutating func questionsAreAnsweredInTheirPlace() {
        self.subscriptions.connected()
        self.subscriptions.addPing()
        #expect(self.sent() == ["ping "])
        #expect(self.subscriptions.isPinging)
        self.subscribe("a")
        _ = self.sent()
        self.take(self.subscriptions.received(.simple("PONG")))
        self.push("subscribe", "a")
        #expect(self.told.text == ["a"])
        #expect(!self.subscriptions.isPinging)
        self.take(self.subscriptions.received(.simple("PONG")))
        self.push("subscribe", "a")
        #expect(self.told.text == ["a", "unexpected", "unexpected"])
    }

    @Test mutating func aSlotThatGoesElsewhereEndsItsSubscriptions() {
        self.subscriptions.connected()
        self.subscribe("a")
        _ = self.sent()
        self.push("ssubscribe", "a")
        self.push("sunsubscribe", "a")
        #expect(self.told.text == ["a", "ended a"])
    }

    @Test mutating func whoWaitsTooLongIsTold() {
        self.subscribe("a", "b")
        for ready in self.subscriptions.takeWaiters() { ready(RedisError(.unavailable, "")) }
        #expect(self.told.text.sorted() == ["a: unavailable", "b: unavailable"])
        #expect(self.subscriptions.missing == 2, "it stays wanted until it is given up")
    }

    /// Wishes, answers, refusals and losses in any order: at the end what is wanted is subscribed, and everybody was told
    /// once.
    @Test mutating func anyOrderEndsInWhatIsWanted() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<300 {
            self.subscriptions = RedisSubscriptions()
            var server: Set<String> = []
            var queue: [(RedisSubscriptions.Request.Kind, String)] = []
            var wanted: Set<String> = []
            let asked = Mutex(0)
            let answered = Mutex(0)
            for _ in 0..<60 {
                let name = "n\(Int.random(in: 0..<4, using: &generator))"
                switch Int.random(in: 0..<10, using: &generator) {
                case 0..<3:
                    wanted.insert(name)
                    asked.withLock { $0 += 1 }
                    self.subscriptions.subscribe(self.topic(name)) { _ in answered.withLock { $0 += 1 } }?(nil)
                case 3..<5:
                    wanted.remove(name)
                    for ready in self.subscriptions.unsubscribe(self.topic(name)) { ready(RedisError(.closed, "")) }
                case 5:
                    self.subscriptions.disconnected()
                    server = []
                    queue = []
                    self.subscriptions.connected()
                default:
                    guard !queue.isEmpty else { break }
                    let (kind, name) = queue.removeFirst()
                    self.push(kind == .subscribe ? "subscribe" : "unsubscribe", name)
                }
                for request in self.subscriptions.takeUnsent() {
                    for name in request.names.map({ String(buffer: $0) }) {
                        queue.append((request.kind, name))
                        if request.kind == .subscribe { server.insert(name) } else { server.remove(name) }
                    }
                }
            }
            if server.isEmpty, queue.isEmpty {
                self.subscriptions.connected()
                for request in self.subscriptions.takeUnsent() {
                    for name in request.names {
                        server.insert(String(buffer: name))
                        queue.append((.subscribe, String(buffer: name)))
                    }
                }
            }
            for (kind, name) in queue { self.push(kind == .subscribe ? "subscribe" : "unsubscribe", name) }
            #expect(server == wanted)
            #expect(Set(self.subscriptions.topics.map(\.name)) == wanted)
            #expect(self.subscriptions.missing == 0)
            #expect(answered.withLock { $0 } == asked.withLock { $0 })
            #expect(!self.told.text.contains("unexpected"))
        }
    }
}

import ChannelLayer
import NIOCore
import Testing

@testable import RabbitMQLayer

@Suite struct SessionTests {
    private static let configuration: RabbitMQConfiguration = {
        var configuration = RabbitMQConfiguration()
        configuration.remoteCapacity = 7
        return configuration
    }()
    private let room = GroupName(unchecked: "room")

    private func session(_ needs: [Need] = []) -> ConsumeSession {
        ConsumeSession(
            Topology(Self.configuration, process: "p"), connection: 3, prefetch: 50, user: "u", needs: needs)
    }

    /// Everything the session says until it needs an answer.
    private func said(_ session: inout ConsumeSession) -> [ConsumeSession.Action] {
        var actions: [ConsumeSession.Action] = []
        while let action = session.next() { actions.append(action) }
        return actions
    }

    /// Says and answers until nothing is left to say.
    private func converse(_ session: inout ConsumeSession) -> [ConsumeSession.Action] {
        var all: [ConsumeSession.Action] = []
        var actions = self.said(&session)
        while !actions.isEmpty {
            all += actions
            for case .send(_, let channel) in actions {
                if let action = session.replied(on: channel) { all.append(action) }
            }
            actions = self.said(&session)
        }
        return all
    }

    @Test func everythingIsMadeAndBoundBeforeAnythingIsConsumed() {
        var session = self.session([.group(self.room)])
        let actions = self.converse(&session)
        let methods = actions.compactMap { if case .send(let method, _) = $0 { method } else { nil } }
        let main = QueuePlan(
            name: "carillon.p.3", messageLife: 60_000, maximumLength: 7, deadLetters: "carillon.p.3.dropped")
        let dropped = QueuePlan(name: "carillon.p.3.dropped", messageLife: 60_000, maximumLength: 10_000)
        #expect(
            methods == [
                .openChannel,
                .declareExchange(ExchangePlan(name: "groups", kind: .direct, isDurable: false)),
                .declareExchange(ExchangePlan(name: "carillon.publish", kind: .topic, isDurable: true)),
                .declareQueue(dropped), .declareQueue(main),
                .bind(queue: main.name, exchange: "carillon.publish", key: "room"),
                .bind(queue: main.name, exchange: "groups", key: "room"),
                .openChannel, .prefetch(50),
                .consume(queue: main.name, tag: "main", acknowledges: true),
                .consume(queue: dropped.name, tag: "dropped", acknowledges: true),
            ])
        #expect(actions.last == .works)
        #expect(actions.contains(.satisfied(.group(self.room))))
    }

    @Test func groupsComeAndGoOnTheControlChannel() {
        var session = self.session()
        _ = self.converse(&session)
        session.add(.group(self.room))
        #expect(self.converse(&session).last == .satisfied(.group(self.room)))
        session.remove(.group(self.room))
        #expect(
            self.converse(&session) == [
                .send(.unbind(queue: "carillon.p.3", exchange: "carillon.publish", key: "room"), 1),
                .send(.unbind(queue: "carillon.p.3", exchange: "groups", key: "room"), 1),
            ])
    }

    @Test func anExchangeThatIsOtherwiseIsAClearError() {
        var session = self.session()
        _ = self.said(&session)
        _ = session.replied(on: 1)
        _ = self.said(&session)
        let refusal = BrokerRefusal(code: 406, text: "PRECONDITION_FAILED - inequivalent arg 'type'")
        let error = #expect(throws: BrokerError.self) { try session.closed(1, refusal) }
        #expect(error?.kind == .refused)
        for words in ["exchange \"groups\"", "config.groups_exchange", "inequivalent arg 'type'", "another program"] {
            #expect(error?.description.contains(words) == true)
        }
    }

    @Test func oneRefusedGroupHarmsNoOther() throws {
        var session = self.session()
        _ = self.converse(&session)
        session.add(.group(self.room))
        session.add(.group(GroupName(unchecked: "other")))
        _ = self.said(&session)
        let refusal = BrokerRefusal(code: 403, text: "ACCESS_REFUSED")
        guard case .refused(.group(self.room), let error)? = try session.closed(1, refusal) else {
            Issue.record("not refused")
            return
        }
        #expect(error.description.contains("read permission"))
        #expect(self.converse(&session).contains(.satisfied(.group(GroupName(unchecked: "other")))))
    }

    @Test func aQueueThatIsOtherwiseIsUsedAsItIs() throws {
        let jobs = ChannelName(unchecked: "jobs")
        var session = self.session()
        _ = self.converse(&session)
        session.consumeNormal(jobs)
        var refusals = 0
        for _ in 0..<20 {
            for case .send(let method, let channel) in self.said(&session) {
                if case .declareQueue(let plan) = method, plan.name == "carillon.channel.jobs", !plan.isPassive {
                    refusals += 1
                    let action = try session.closed(channel, BrokerRefusal(code: 406, text: "inequivalent arg"))
                    guard case .normalChannelsEnded(nil, _)? = action else {
                        Issue.record("not begun anew")
                        return
                    }
                    session.consumeNormal(jobs)
                    break
                }
                _ = session.replied(on: channel)
            }
        }
        #expect(refusals == 1)
        #expect(session.normalNames == [jobs])
    }

    @Test func permissionsThatLackAreNamed() {
        let cases: [(BrokerRefusal, String)] = [
            (BrokerRefusal(code: 403, text: "no"), "the configure permission lacks"),
            (BrokerRefusal(code: 406, text: "no"), "another program made it differently"),
            (BrokerRefusal(code: 404, text: "NOT_FOUND"), "404 NOT_FOUND"),
        ]
        for (refusal, words) in cases {
            let error = refusal.of("make it", needs: .configure, user: "u", setting: "config.x")
            #expect(error.description.contains(words))
            #expect(error.description.contains("config.x"))
        }
        let address = RabbitMQAddress(user: "u", password: "secret", virtualHost: "v")
        let logins: [(Int, String, String)] = [
            (403, "ACCESS_REFUSED", "does not take the user \"u\""),
            (530, "NOT_ALLOWED - vhost v not found", "no virtual host \"v\""),
            (530, "NOT_ALLOWED - access to vhost 'v' refused", "may not use the virtual host \"v\""),
        ]
        for (code, text, words) in logins {
            let error = BrokerRefusal(code: code, text: text).ofLogin(to: address, setting: "the.setting")
            #expect(error.kind == .refused)
            #expect(error.description.contains(words))
            #expect(error.description.contains("the.setting"))
            #expect(!error.description.contains("secret"))
        }
    }

    @Test func acknowledgementsAreJoined() {
        var acks = AckBatch(prefetch: 16)
        #expect([1, 2, 3, 4, 5].map { acks.add($0) } == [nil, nil, nil, 4, nil])
        #expect(acks.flush() == 5)
        #expect(acks.flush() == nil)
        var single = AckBatch(prefetch: 1)
        #expect(single.add(1) == 1)
    }

    @Test func bodiesArePutTogetherHoweverTheyAreCut() {
        let head = DeliveryHead(tag: 1, consumer: .main, isRedelivered: false)
        var assembler = DeliveryAssembler(limit: 10)
        assembler.begin(head)
        #expect(assembler.content(bytes: 0, deathReason: nil)?.body.readableBytes == 0)
        assembler.begin(head)
        #expect(assembler.content(bytes: 3, deathReason: "expired") == nil)
        let first = Array("ab".utf8).withUnsafeBytes { assembler.body($0) }
        #expect(first == nil)
        let whole = Array("c".utf8).withUnsafeBytes { assembler.body($0) }
        #expect(whole?.body == .init(string: "abc"))
        #expect(whole?.deathReason == "expired")
        assembler.begin(head)
        _ = assembler.content(bytes: 11, deathReason: nil)
        let large = Array("hello world".utf8).withUnsafeBytes { assembler.body($0) }
        #expect(large?.body.readableBytes == 0, "what is larger than anything we take comes out empty")
        let stray = Array("x".utf8).withUnsafeBytes { assembler.body($0) }
        #expect(stray == nil)
    }

    @Test func tagsSayWhoseDeliveryItIs() {
        for tag in [ConsumerTag.main, .dropped, .own(0), .normal(12)] { #expect(ConsumerTag(tag.text) == tag) }
        for text in ["", "own", "own.x", "other.1", "normal.1.2"] { #expect(ConsumerTag(text) == nil) }
    }
}

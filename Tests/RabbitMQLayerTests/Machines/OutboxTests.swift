import ChannelLayer
import NIOCore
import TestSupport
import Testing

@testable import RabbitMQLayer

@Suite struct OutboxTests {
    private let start = ContinuousClock.now

    private func outbox(messages: Int = 4, bytes: Int = 100) -> OutboxState {
        OutboxState(messages: messages, bytes: bytes, timeout: .seconds(10))
    }

    private func submission(
        _ name: String, _ target: Submission.Target = .group, size: Int = 1, deadline: Int = 10
    ) -> Submission {
        Submission(
            target: target, key: name, name: name, body: ByteBuffer(repeating: 0, count: size),
            deadline: self.start + .seconds(deadline), completion: { _ in })
    }

    private func isTaken(_ offer: OutboxState.Offer) -> Bool { if case .taken = offer { true } else { false } }

    private func names(_ next: OutboxState.Next) -> [String] {
        if case .send(let batch) = next { batch.map(\.name) } else { [] }
    }

    private func names(_ outcomes: [Outcome]) -> [String] { outcomes.map(\.submission.name) }

    @Test func whatWaitsIsBounded() {
        var outbox = self.outbox()
        for name in ["a", "b", "c", "d"] { #expect(self.isTaken(outbox.offer(self.submission(name)))) }
        guard case .refused(let error) = outbox.offer(self.submission("e")) else {
            Issue.record("taken")
            return
        }
        #expect(error.code == .unavailable)
        var other = self.outbox()
        #expect(!self.isTaken(other.offer(self.submission("large", size: 101))))
    }

    @Test func messagesGoOutInOrderOnceThereIsAConnection() {
        var outbox = self.outbox()
        for name in ["a", "b", "c"] { _ = outbox.offer(self.submission(name)) }
        #expect(self.names(outbox.next(limit: 2)) == [])
        outbox.connected()
        #expect(self.names(outbox.next(limit: 2)) == ["a", "b"])
        #expect(self.names(outbox.next(limit: 2)) == ["c"])
        #expect(self.names(outbox.settle(2, multiple: true, isTaken: true)) == ["a", "b"])
        #expect(!outbox.isEmpty)
        #expect(self.names(outbox.settle(3, multiple: false, isTaken: false)) == ["c"])
        #expect(outbox.isEmpty)
    }

    @Test func theSleeperIsWokenOnce() {
        var outbox = self.outbox()
        outbox.connected()
        _ = outbox.next(limit: 9)
        guard case .taken(mustWake: true) = outbox.offer(self.submission("a")),
            case .taken(mustWake: false) = outbox.offer(self.submission("b"))
        else {
            Issue.record("woken wrongly")
            return
        }
    }

    @Test func whatWasOnItsWayIsNeverSentAgain() {
        var outbox = self.outbox()
        outbox.connected()
        _ = outbox.offer(self.submission("sent"))
        _ = outbox.next(limit: 1)
        _ = outbox.offer(self.submission("waits"))
        #expect(self.names(outbox.lost(OutboxState.closed)) == ["sent"])
        #expect(self.names(outbox.next(limit: 9)) == [], "nothing is sent without a connection")
        outbox.connected()
        #expect(self.names(outbox.next(limit: 9)) == ["waits"])
        #expect(self.names(outbox.settle(1, multiple: false, isTaken: true)) == ["waits"], "numbers begin anew")
    }

    @Test func whoWaitedTooLongIsTold() {
        var outbox = self.outbox()
        outbox.connected()
        _ = outbox.offer(self.submission("sent", deadline: 1))
        _ = outbox.next(limit: 1)
        outbox.blocked(LayerError(.unavailable, "low on memory"))
        _ = outbox.offer(self.submission("waits", deadline: 2))
        _ = outbox.offer(self.submission("later", deadline: 9))
        let outcomes = outbox.expire(self.start + .seconds(3))
        #expect(self.names(outcomes) == ["sent", "waits"])
        for outcome in outcomes {
            guard case .failed(let error) = outcome.result else {
                Issue.record("not failed")
                continue
            }
            #expect(error.code == .unavailable && error.message.contains("low on memory"))
        }
        #expect(outbox.expire(self.start + .seconds(3)).isEmpty, "told once")
        #expect(self.names(outbox.next(limit: 9)) == [], "the broker takes nothing")
        outbox.blocked(nil)
        let late = outbox.settle(1, multiple: false, isTaken: true)
        #expect(late.first?.submission.completion == nil, "the confirm that comes late tells nobody")
        #expect(self.names(outbox.next(limit: 9)) == ["later"])
    }

    @Test func aNormalChannelsQueueIsMadeBeforeItIsSentTo() {
        var outbox = self.outbox()
        outbox.connected()
        for (name, target) in [("a", Submission.Target.group), ("q", .normalChannel), ("b", .group)] {
            _ = outbox.offer(self.submission(name, target))
        }
        #expect(self.names(outbox.next(limit: 9)) == ["a"])
        guard case .declare(queue: "q") = outbox.next(limit: 9) else {
            Issue.record("not asked for")
            return
        }
        outbox.declared(queue: "q")
        #expect(self.names(outbox.next(limit: 9)) == ["q", "b"])
        _ = outbox.offer(self.submission("q", .normalChannel))
        outbox.vanished(queue: "q")
        #expect(self.names(outbox.refused(queue: "q", OutboxState.closed)) == ["q"])
    }

    @Test func bytesOnTheirWayAreBounded() {
        var outbox = self.outbox(messages: 10, bytes: 1 << 30)
        outbox.connected()
        for name in ["a", "b"] { _ = outbox.offer(self.submission(name, size: OutboxState.windowBytes)) }
        #expect(self.names(outbox.next(limit: 9)) == ["a"])
        #expect(self.names(outbox.next(limit: 9)) == [])
        _ = outbox.settle(1, multiple: false, isTaken: true)
        #expect(self.names(outbox.next(limit: 9)) == ["b"])
    }

    @Test func theEndAnswersEverybody() {
        var outbox = self.outbox()
        outbox.connected()
        _ = outbox.offer(self.submission("sent"))
        _ = outbox.next(limit: 1)
        _ = outbox.offer(self.submission("waits"))
        #expect(self.names(outbox.ended()) == ["sent", "waits"])
        guard case .refused(let error) = outbox.offer(self.submission("late")) else {
            Issue.record("taken")
            return
        }
        #expect(error.code == .closed)
    }

    @Test func aFullQueueRefusesSendersAndIsCountedForGroups() {
        let drops = DropRecorder()
        let told = Told()
        func outcome(_ target: Submission.Target, isAnswered: Bool) -> Outcome {
            var submission = self.submission("x", target)
            submission.completion = isAnswered ? told.waiter("sender") : nil
            return Outcome(submission: submission, result: .full)
        }
        outcome(.group, isAnswered: true).tell(drops)
        outcome(.process, isAnswered: true).tell(drops)
        outcome(.process, isAnswered: false).tell(drops)
        #expect(told.all == ["sender ok", "sender channel_full"])
        #expect(drops.dropped(.overCapacity) == ["x": 2])
    }
}

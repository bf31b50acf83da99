import NIOCore
import Testing

@testable import Gateway

@Suite struct ProxyDeskTests {
    private typealias Desk = ProxyDesk<String>
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func question(_ text: String, _ event: ProxyEvent = .subscribe, cookie: String = "") -> ProxyQuestion {
        ProxyQuestion(
            event: event, fields: cookie.isEmpty ? [] : [.init(name: "Cookie", value: cookie)],
            body: ByteBuffer(string: text))
    }

    private func desk(_ change: (inout Desk.Limits) -> Void = { _ in }) -> Desk {
        var limits = Desk.Limits()
        limits.concurrency = 2...2
        change(&limits)
        return Desk(limits)
    }

    /// Actions as texts: `send 3: a b`, `x y: nothing`.
    private func said(_ actions: [Desk.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .send(let number, let questions, _):
                "send \(number): " + questions.map { String(buffer: $0.body) }.joined(separator: " ")
            case .answer(let tickets, let answer):
                switch answer {
                case .nothing: tickets.joined(separator: " ") + ": nothing"
                case .failed(let failure): tickets.joined(separator: " ") + ": \(failure)"
                default: tickets.joined(separator: " ") + ": something"
                }
            }
        }
    }

    @Test func beyondTheLimitQuestionsWaitTheirTurn() {
        var desk = self.desk()
        #expect(self.said(desk.ask(self.question("a"), for: "1", now: self.start)) == ["send 2: a"])
        #expect(self.said(desk.ask(self.question("b"), for: "2", now: self.start)) == ["send 4: b"])
        #expect(desk.ask(self.question("c"), for: "3", now: self.start).isEmpty)
        #expect(desk.load == ProxyLoad(waiting: 1, running: 2, concurrency: 2))
        #expect(self.said(desk.answered(4, [(.nothing, 0)], now: self.start)) == ["2: nothing", "send 6: c"])
        #expect(self.said(desk.failed(2, .unreachable, now: self.start)) == ["1: unreachable"])
        #expect(desk.answered(2, [(.nothing, 0)], now: self.start).isEmpty, "it is over")
    }

    @Test func equalQuestionsAreAskedOnceWhetherTheyWaitOrRun() {
        var desk = self.desk()
        #expect(self.said(desk.ask(self.question("a"), for: "1", now: self.start)) == ["send 2: a"])
        #expect(desk.ask(self.question("a"), for: "2", now: self.start).isEmpty)
        #expect(self.said(desk.ask(self.question("a", cookie: "x"), for: "3", now: self.start)) == ["send 4: a"])
        #expect(self.said(desk.answered(2, [(.nothing, 0)], now: self.start)) == ["1 2: nothing"])
        #expect(self.said(desk.ask(self.question("a"), for: "4", now: self.start)) == ["send 6: a"], "not for later")
    }

    @Test func whatDoesSomethingIsAskedEachTime() {
        for event in [ProxyEvent.publish, .rpc] {
            var desk = self.desk()
            #expect(self.said(desk.ask(self.question("a", event), for: "1", now: self.start)) == ["send 2: a"])
            #expect(self.said(desk.ask(self.question("a", event), for: "2", now: self.start)) == ["send 4: a"])
            #expect(self.said(desk.answered(2, [(.nothing, 60)], now: self.start)) == ["1: nothing"])
            #expect(self.said(desk.ask(self.question("a", event), for: "3", now: self.start)) == ["send 6: a"])
        }
    }

    @Test func anAnswerCountsAsLongAsTheApplicationSays() {
        var desk = self.desk()
        _ = desk.ask(self.question("a"), for: "1", now: self.start)
        _ = desk.answered(2, [(.nothing, 60)], now: self.start)
        let later = self.start + .seconds(59)
        #expect(self.said(desk.ask(self.question("a"), for: "2", now: later)) == ["2: nothing"])
        #expect(self.said(desk.ask(self.question("a", cookie: "x"), for: "3", now: later)) == ["send 4: a"])
        let end = self.start + .seconds(60)
        #expect(self.said(desk.ask(self.question("a"), for: "4", now: end)) == ["send 6: a"])
        #expect(self.said(desk.answered(6, [(.failed(.unreadable), 60)], now: end)) == ["4: unreadable"])
        #expect(self.said(desk.ask(self.question("a"), for: "5", now: end)) == ["send 8: a"], "a failure is not kept")
    }

    @Test func aBatchGoesWhenItIsFullOrItsWindowHasPassed() {
        var desk = self.desk { ($0.batch, $0.window) = (3, .milliseconds(5)) }
        #expect(desk.nextWake == nil)
        for name in ["a", "b"] { #expect(desk.ask(self.question(name), for: name, now: self.start).isEmpty) }
        #expect(desk.nextWake == self.start + .milliseconds(5))
        #expect(desk.wake(now: self.start + .milliseconds(4)).isEmpty)
        #expect(self.said(desk.wake(now: self.start + .milliseconds(5))) == ["send 3: a b"])
        var actions: [Desk.Action] = []
        for name in ["c", "d", "e", "f"] { actions += desk.ask(self.question(name), for: name, now: self.start) }
        #expect(self.said(actions) == ["send 7: c d e"])
        let answers: [(answer: ProxyAnswer, maxAge: Int)] = [(.nothing, 0), (.failed(.unreadable), 0)]
        #expect(self.said(desk.answered(3, answers, now: self.start)) == ["a: nothing", "b: unreadable"])
    }

    @Test func whileThereIsNoRoomABatchGrows() {
        var desk = self.desk { ($0.batch, $0.window, $0.concurrency) = (10, .zero, 1...1) }
        #expect(self.said(desk.ask(self.question("a"), for: "a", now: self.start)) == ["send 2: a"])
        for name in ["b", "c", "d"] { #expect(desk.ask(self.question(name), for: name, now: self.start).isEmpty) }
        #expect(
            self.said(desk.answered(2, [(.nothing, 0)], now: self.start)) == ["a: nothing", "send 6: b c d"])
    }

    @Test func tooManyAndTooLongIsTold() {
        var desk = self.desk { ($0.concurrency, $0.waiting, $0.patience) = (1...1, 1, .seconds(1)) }
        _ = desk.ask(self.question("a"), for: "a", now: self.start)
        _ = desk.ask(self.question("b"), for: "b", now: self.start)
        #expect(self.said(desk.ask(self.question("c"), for: "c", now: self.start)) == ["c: overloaded"])
        #expect(desk.nextWake == self.start + .seconds(1))
        #expect(self.said(desk.wake(now: self.start + .seconds(1))) == ["b: overdue"])
        #expect(desk.nextWake == nil && desk.load == ProxyLoad(waiting: 0, running: 1, concurrency: 1))
        #expect(self.said(desk.answered(2, [(.nothing, 0)], now: self.start + .seconds(2))) == ["a: nothing"])
    }

    @Test func itIsToldHowLongEachQuestionWaited() {
        var desk = self.desk { ($0.batch, $0.window, $0.concurrency) = (10, .zero, 1...1) }
        func waits(_ actions: [Desk.Action]) -> [[TimeAmount]] {
            actions.compactMap { if case .send(_, _, let waited) = $0 { waited } else { nil } }
        }
        #expect(waits(desk.ask(self.question("a"), for: "a", now: self.start)) == [[.zero]])
        for (name, second) in [("b", Int64(1)), ("c", 2)] {
            #expect(waits(desk.ask(self.question(name), for: name, now: self.start + .seconds(second))) == [])
        }
        let actions = desk.answered(2, [(.nothing, 0)], now: self.start + .seconds(5))
        #expect(waits(actions) == [[.seconds(4), .seconds(3)]])
    }

    @Test func theCacheIsBounded() {
        var cache = AnswerCache(limit: 100)
        for number in 0..<1_000 {
            cache.keep(.nothing, to: self.question("\(number)"), seconds: 1 + number, now: self.start)
            #expect(cache.count <= 100)
        }
        #expect(cache.answer(to: self.question("999"), now: self.start) == .nothing)
        #expect(cache.answer(to: self.question("0"), now: self.start) == nil)
        cache.keep(.nothing, to: self.question("p", .publish), seconds: 60, now: self.start)
        #expect(cache.answer(to: self.question("p", .publish), now: self.start) == nil)
    }
}

import NIOCore
import Testing

@testable import Workers

/// The pool's bookkeeping, one line per step.
struct PoolStateTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func pool(threads: Int, queue: Int, stuck: Int = 8) -> PoolState<String> {
        var state = PoolState<String>(
            limits: .init(threads: threads, queue: queue, requestTime: .seconds(10), stuckThreads: stuck))
        for _ in 0..<threads { _ = state.addThread() }
        return state
    }

    private func job(_ next: PoolState<String>.Next) -> String? {
        if case .run(let job) = next { job } else { nil }
    }

    @Test func asManyAreAdmittedAsThereAreThreadsAndPlacesInTheQueue() {
        var state = self.pool(threads: 2, queue: 1)
        #expect(state.admit("a", now: self.start) == .accepted)
        #expect(state.admit("b", now: self.start) == .accepted)
        #expect(state.admit("c", now: self.start) == .accepted)
        #expect(state.admit("d", now: self.start) == .full)
        #expect(self.job(state.take(1, now: self.start)) == "a")
        #expect(state.admit("d", now: self.start) == .full)
        #expect(self.job(state.take(2, now: self.start)) == "b")
        #expect(state.waitingCount == 1 && state.busyCount == 2)
        #expect(state.done(1) == true)
        #expect(state.admit("d", now: self.start) == .accepted)
    }

    @Test func withoutAQueueOnlyIdleThreadsCount() {
        var state = self.pool(threads: 1, queue: 0)
        #expect(state.admit("a", now: self.start) == .accepted)
        #expect(self.job(state.take(1, now: self.start)) == "a")
        #expect(state.admit("b", now: self.start) == .full)
    }

    @Test func anOverdueJobLosesItsThreadAndAnotherTakesThePlace() {
        var state = self.pool(threads: 1, queue: 1)
        _ = state.admit("slow", now: self.start)
        _ = state.take(1, now: self.start)
        let early = state.sweep(now: self.start + .seconds(9))
        #expect(early.stuck.isEmpty && early.next == self.start + .seconds(10))

        let late = state.sweep(now: self.start + .seconds(10))
        #expect(late.stuck.map(\.job) == ["slow"] && late.replacements == [2])
        #expect(state.stuckCount == 1 && state.busyCount == 0)
        #expect(state.admit("next", now: self.start + .seconds(10)) == .accepted)
        #expect(self.job(state.take(2, now: self.start + .seconds(10))) == "next")
        // Found once only, and its thread ends when it comes back.
        #expect(state.sweep(now: self.start + .seconds(11)).stuck.isEmpty)
        #expect(state.done(1) == false)
        #expect(state.stuckCount == 0 && state.threadCount == 1)
    }

    @Test func whenTooManyAreStuckThePoolShrinksAndGrowsAgain() {
        var state = self.pool(threads: 2, queue: 0, stuck: 1)
        for (index, job) in ["a", "b"].enumerated() {
            _ = state.admit(job, now: self.start)
            _ = state.take(index + 1, now: self.start)
        }
        let sweep = state.sweep(now: self.start + .seconds(10))
        #expect(sweep.stuck.count == 2 && sweep.replacements.count == 1)
        let kept = sweep.stuck[1].thread
        #expect(state.done(sweep.stuck[0].thread) == false)
        #expect(state.done(kept) == true)
        #expect(state.threadCount == 2)
    }

    @Test func progressStartsTheTimeAnewAndAParkedThreadHasNone() {
        var state = self.pool(threads: 1, queue: 0)
        _ = state.admit("stream", now: self.start)
        _ = state.take(1, now: self.start)
        state.parked(1)
        #expect(state.sweep(now: self.start + .seconds(100)).stuck.isEmpty)
        state.progressed(1, now: self.start + .seconds(100))
        #expect(state.sweep(now: self.start + .seconds(109)).stuck.isEmpty)
        #expect(state.sweep(now: self.start + .seconds(110)).stuck.count == 1)
    }

    @Test func whoWaitsTooLongForAThreadIsGivenUp() {
        var state = self.pool(threads: 1, queue: 2)
        _ = state.admit("a", now: self.start)
        _ = state.take(1, now: self.start)
        _ = state.admit("b", now: self.start + .seconds(1))
        _ = state.admit("c", now: self.start + .seconds(5))
        state.progressed(1, now: self.start + .seconds(9))
        let sweep = state.sweep(now: self.start + .seconds(11))
        #expect(sweep.expired == ["b"] && state.waitingCount == 1)
        #expect(sweep.next == self.start + .seconds(15))
    }

    @Test func aStoppedPoolRunsWhatWaitsAndThenEnds() {
        var state = self.pool(threads: 1, queue: 2)
        _ = state.admit("a", now: self.start)
        state.stop()
        #expect(state.admit("b", now: self.start) == .stopping)
        #expect(self.job(state.take(1, now: self.start)) == "a")
        #expect(state.done(1) == true)
        guard case .end = state.take(1, now: self.start) else {
            Issue.record("the thread goes on")
            return
        }
        #expect(state.threadCount == 0)
    }
}

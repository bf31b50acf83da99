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
        #expect(state.done(1, now: self.start) == true)
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
        #expect(state.done(1, now: self.start) == false)
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
        #expect(state.done(sweep.stuck[0].thread, now: self.start) == false)
        #expect(state.done(kept, now: self.start) == true)
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
        #expect(state.done(1, now: self.start) == true)
        guard case .end = state.take(1, now: self.start) else {
            Issue.record("the thread goes on")
            return
        }
        #expect(state.threadCount == 0)
    }

    // MARK: Waking

    /// Three threads that sleep.
    private func sleepers() -> PoolState<String> {
        var state = self.pool(threads: 3, queue: 8)
        for thread in 1...3 { _ = state.take(thread, now: self.start) }
        return state
    }

    /// Runs so many jobs of a microsecond on thread 1, which sleeps afterwards.
    private func runQuickJobs(_ count: Int, _ state: inout PoolState<String>) {
        for _ in 0..<count {
            _ = state.admit("quick", now: self.start)
            _ = state.take(1, now: self.start)
            _ = state.step(1, now: self.start + .microseconds(1))
        }
    }

    @Test func threadsAreWokenOneByOneForWhatWaits() {
        var state = self.sleepers()
        for job in ["a", "b"] { _ = state.admit(job, now: self.start) }
        #expect(state.wakesOne(now: self.start) == true)
        #expect(state.wakesOne(now: self.start) == false)
        #expect(self.job(state.take(2, now: self.start)) == "a")
        #expect(state.wakesOne(now: self.start) == true)
        #expect(self.job(state.take(1, now: self.start)) == "b")
        #expect(state.wakesOne(now: self.start) == false)
    }

    @Test func whoComesUnaskedTakesNothingFromTheOneThatWasWoken() {
        var state = self.sleepers()
        _ = state.admit("a", now: self.start)
        #expect(state.wakesOne(now: self.start) == true)
        #expect(self.job(state.take(1, now: self.start)) == "a")
        guard case .wait = state.take(2, now: self.start) else {
            Issue.record("there was one job only")
            return
        }
        _ = state.admit("b", now: self.start)
        #expect(state.wakesOne(now: self.start) == true)
    }

    @Test func nobodyIsWokenForAQuickJobWhileAThreadIsAtWork() {
        var state = self.sleepers()
        #expect(!state.isQuick)
        self.runQuickJobs(100, &state)
        #expect(state.isQuick)
        _ = state.admit("a", now: self.start)
        #expect(state.wakesOne(now: self.start) == true)
        #expect(self.job(state.take(1, now: self.start)) == "a")
        _ = state.admit("b", now: self.start)
        #expect(state.wakesOne(now: self.start) == false)
        let step = state.step(1, now: self.start + .microseconds(10))
        #expect(self.job(step.next) == "b" && !step.wakesAnother && step.busy == 1)
        // A thread that has taken nothing for a while is not counted on.
        _ = state.admit("c", now: self.start + .seconds(1))
        #expect(state.wakesOne(now: self.start + .seconds(1)) == true)
    }

    @Test func aThreadThatIsAtWorkForLongIsNotCountedOn() {
        var state = self.sleepers()
        self.runQuickJobs(100, &state)
        _ = state.admit("long", now: self.start)
        _ = state.take(1, now: self.start)
        _ = state.admit("a", now: self.start)
        _ = state.take(2, now: self.start)
        guard case .wait = state.step(2, now: self.start + .microseconds(1)).next else {
            Issue.record("there was nothing more to do")
            return
        }
        _ = state.admit("b", now: self.start + .microseconds(2))
        #expect(state.isQuick)
        #expect(state.wakesOne(now: self.start + .microseconds(2)) == true)
    }

    @Test func whatWaitsForAJobThatIsNotQuickAfterAllGetsAThread() {
        var state = self.sleepers()
        self.runQuickJobs(100, &state)
        _ = state.admit("slow", now: self.start)
        _ = state.take(1, now: self.start)
        _ = state.admit("b", now: self.start)
        #expect(state.wakesOne(now: self.start) == false)
        #expect(state.wakesForLate(now: self.start + .microseconds(100)) == false)
        #expect(state.wakesForLate(now: self.start + .milliseconds(1)) == true)
        #expect(!state.isQuick)
        #expect(self.job(state.take(2, now: self.start + .milliseconds(1))) == "b")
        #expect(state.wakesForLate(now: self.start + .milliseconds(2)) == false)
    }
}

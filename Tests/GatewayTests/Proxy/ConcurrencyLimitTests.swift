import Testing

@testable import Gateway

@Suite struct ConcurrencyLimitTests {
    /// An application with so many workers, each of which takes the same time: what is beyond them waits.
    private func settle(workers: Int, seconds: Double, from start: Int, rounds: Int = 400) -> ConcurrencyLimit {
        var limit = ConcurrencyLimit(1...1_000, start: start)
        for _ in 0..<rounds {
            let running = limit.value
            let waits = Double(max(running - workers, 0)) / Double(workers)
            limit.answered(in: seconds * (1 + waits), questions: 1, running: running)
        }
        return limit
    }

    @Test func itFindsAboutAsManyAsTheApplicationHasWorkers() {
        for workers in [4, 16, 64] {
            let limit = self.settle(workers: workers, seconds: 0.02, from: 2).value
            #expect((workers / 2...workers * 5).contains(limit), "\(workers) workers: \(limit)")
        }
    }

    @Test func withoutUseItDoesNotGrow() {
        var limit = ConcurrencyLimit(1...1_000, start: 10)
        for _ in 0..<100 { limit.answered(in: 0.01, questions: 1, running: 1) }
        #expect(limit.value == 10)
    }

    @Test func failuresLowerItToItsBoundAndNotBelow() {
        var limit = ConcurrencyLimit(2...100, start: 100)
        limit.failed()
        #expect(limit.value == 90)
        for _ in 0..<100 { limit.failed() }
        #expect(limit.value == 2)
        for _ in 0..<1_000 { limit.answered(in: 0.01, questions: 1, running: limit.value) }
        #expect(limit.value == 100, "and it comes back")
    }

    @Test func largeBatchesAreComparedWithLargeOnes() {
        var limit = ConcurrencyLimit(1...100, start: 20)
        for _ in 0..<50 {
            limit.answered(in: 0.01, questions: 1, running: 20)
            limit.answered(in: 1, questions: 1_000, running: 20)
        }
        #expect(limit.value >= 20)
    }

    @Test func noNumbersTrap() {
        var limit = ConcurrencyLimit(1...1, start: 0)
        for seconds in [0, -1, .infinity, .nan, 1e300] {
            limit.answered(in: seconds, questions: 0, running: 0)
            limit.answered(in: seconds, questions: .max, running: .max)
            #expect(limit.value == 1)
        }
    }
}

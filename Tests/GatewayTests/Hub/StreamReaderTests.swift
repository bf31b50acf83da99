import ChannelLayer
import Synchronization
import Testing

@testable import Gateway

@Suite struct StreamReaderTests {
    /// A store whose reads end when the test says so.
    private final class Slow: GroupStore {
        let reads = Mutex<[@Sendable (Result<HistoryPage, LayerError>) -> Void]>([])

        func readHistory(
            of group: GroupName, _ query: HistoryQuery,
            completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void
        ) { self.reads.withLock { $0.append(completion) } }

        func finish(top: UInt64) {
            let first = self.reads.withLock { $0.removeFirst() }
            first(.success(HistoryPage(publications: [], top: StreamPosition(offset: top, epoch: "e"))))
        }

        func publish(
            _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
            completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
        ) {}
        func removeHistory(of group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {}
        func addPresence(
            _ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
        ) {}
        func removePresence(
            of client: String, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
        ) {}
        func handOverPresence(of client: String, in group: GroupName) {}
        func readPresence(
            of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
        ) {}
        func readPresenceStats(
            of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
        ) {}
    }

    @Test func manyReadOnceAndNobodyGetsAnAnswerFromBeforeItAsked() throws {
        let store = Slow()
        let reader = StreamReader(store)
        let group = try GroupName("news")
        let tops = Mutex<[UInt64]>([])
        func read() {
            reader.read(group, .position) { result in
                if case .success(let page) = result { tops.withLock { $0.append(page.top.offset) } }
            }
        }
        read()
        for _ in 0..<100 { read() }
        #expect(store.reads.withLock(\.count) == 1)
        store.finish(top: 1)
        #expect(tops.withLock { $0 } == [1])
        #expect(store.reads.withLock(\.count) == 1)
        store.finish(top: 2)
        #expect(tops.withLock { $0 } == [1] + Array(repeating: 2, count: 100))
        #expect(store.reads.withLock(\.count) == 0)
        read()
        #expect(store.reads.withLock(\.count) == 1)
    }
}

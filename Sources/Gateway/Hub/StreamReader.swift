import ChannelLayer
import Synchronization

/// Reads the histories of groups for many browsers at once: those who ask the same while a read is under way get the next
/// one together. Each gets an answer that was asked for after it began to follow, so that what it then hears joins on.
final class StreamReader: Sendable {
    typealias Completion = @Sendable (Result<HistoryPage, LayerError>) -> Void

    private struct Question: Hashable {
        let group: GroupName
        let limit: Int
        let since: StreamPosition?
        let isReverse: Bool
    }

    private let store: any GroupStore
    /// Who waits for the next read of a question of which one is under way.
    private let waiting = Mutex<[Question: [Completion]]>([:])

    init(_ store: any GroupStore) { self.store = store }

    /// - Parameter completion: called once, on any thread.
    func read(_ group: GroupName, _ query: HistoryQuery, completion: @escaping Completion) {
        let question = Question(group: group, limit: query.limit, since: query.since, isReverse: query.isReverse)
        let isFirst = self.waiting.withLock { waiting in
            if waiting[question] != nil {
                waiting[question]?.append(completion)
                return false
            }
            waiting[question] = []
            return true
        }
        if isFirst { self.ask(question, query, [completion]) }
    }

    private func ask(_ question: Question, _ query: HistoryQuery, _ completions: [Completion]) {
        self.store.readHistory(of: question.group, query) { result in
            for completion in completions { completion(result) }
            let next = self.waiting.withLock { waiting -> [Completion] in
                let next = waiting[question] ?? []
                waiting[question] = next.isEmpty ? nil : []
                return next
            }
            if !next.isEmpty { self.ask(question, query, next) }
        }
    }
}

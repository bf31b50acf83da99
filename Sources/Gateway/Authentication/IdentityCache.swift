import Crypto
import Synchronization

/// Workers' answers, for the seconds they count. Used from every event loop.
///
/// Two generations: the older one is forgotten as a whole when the newer one is full, so that nothing is ever searched
/// for something to throw away. Refusals are not kept: who has just logged in is let in at once.
final class IdentityCache: Sendable {
    /// Everything a worker could have decided by, hashed, so that no credentials stay in memory.
    struct Key: Hashable, Sendable {
        private let digest: SHA256Digest

        init(_ request: AskRequest) {
            var hash = SHA256()
            hash.update(data: Array(request.head.target.utf8))
            for (name, value) in request.head.fields {
                // A NUL cannot be in a field: two different requests never make the same run of bytes.
                hash.update(data: [0] + Array(name.utf8) + [0] + Array(value.utf8))
            }
            self.digest = hash.finalize()
        }
    }

    private struct Entry {
        let identity: Identity
        let until: Int64
    }

    private struct Generations {
        var newer: [Key: Entry] = [:]
        var older: [Key: Entry] = [:]
    }

    private let seconds: Int64
    private let capacity: Int
    private let generations = Mutex(Generations())

    init(seconds: Int64, capacity: Int) {
        self.seconds = seconds
        self.capacity = max(capacity, 1)
    }

    func identity(for key: Key, now: Int64) -> Identity? {
        self.generations.withLock { generations in
            guard let entry = generations.newer[key] ?? generations.older[key], now < entry.until else { return nil }
            return entry.identity
        }
    }

    func keep(_ identity: Identity, for key: Key, now: Int64) {
        let (until, overflow) = now.addingReportingOverflow(self.seconds)
        guard !overflow else { return }
        self.generations.withLock { generations in
            if generations.newer.count >= self.capacity {
                generations.older = generations.newer
                generations.newer = [:]
            }
            generations.newer[key] = Entry(identity: identity, until: until)
        }
    }

    /// Answers kept, also those that no longer count.
    var count: Int { self.generations.withLock { $0.newer.count + $0.older.count } }
}

import ChannelLayer

/// The one gateway that reads the stream of all and tells the application. A value: what it wants done it says, and is told
/// what came of it.
///
/// ```
///  checkpoint ─▶ book ◀─ entries, page after page ─ stream ◀─ gone, tick, taken
///                  └─▶ batch ─▶ application ─▶ taken
/// ```
struct LifecycleClerk: Sendable {
    enum Action: Equatable, Sendable {
        case readCheckpoint
        case readStream(since: StreamPosition)
        case append(LifecycleEntry)
        case post(LifecycleBatch)
        case keep(LayerMessage)
    }

    private enum Phase: Sendable { case resting, opening, open }

    /// Entries of one page.
    static let pageLimit = 500
    /// Milliseconds between looks at the stream, while nothing is new there.
    static let pause: Int64 = 200
    /// A checkpoint comes after so many entries, or so many milliseconds.
    private static let checkpointEntries = 1_000
    private static let checkpointPause: Int64 = 10_000

    private let node: String
    private let rules: LifecycleBook.Rules
    private let batchLimit: Int
    private var phase = Phase.resting
    /// What was read; `nil` while nothing was.
    private(set) var book: LifecycleBook?

    // What is under way: at most one of each.
    private var isReading = false
    private var isPosting = false
    private var isKeeping = false
    private var isAppending = false

    private var nextRead: Int64 = 0
    /// All that stood in the stream was read.
    private var isCaughtUp = false
    private var nextPost: Int64 = 0
    private var failures = 0
    private var unkept = 0
    private var nextCheckpoint: Int64 = 0
    private let backoff = Backoff(first: .milliseconds(500), most: .seconds(30))

    init(node: String, rules: LifecycleBook.Rules, batchLimit: Int) {
        self.node = node
        self.rules = rules
        self.batchLimit = batchLimit
    }

    /// Nothing is left to be read, written or told.
    var isDone: Bool {
        switch self.phase {
        case .resting: !self.isPosting
        case .opening: false
        case .open: self.isCaughtUp && !self.isPosting && (self.book?.outbox.count ?? 0) == 0
        }
    }

    /// What is to be done now.
    ///
    /// - Parameters:
    ///   - now: milliseconds since 1970.
    ///   - isSilent: whether a gateway has not been heard for too long.
    mutating func work(isClerk: Bool, now: Int64, isSilent: (String) -> Bool) -> [Action] {
        guard isClerk else {
            self.phase = .resting
            self.book = nil
            return []
        }
        var actions: [Action] = []
        switch self.phase {
        case .resting:
            guard !self.isReading else { return [] }
            self.phase = .opening
            self.isReading = true
            (self.isCaughtUp, self.nextRead, self.unkept) = (false, 0, 0)
            self.nextCheckpoint = now + Self.checkpointPause
            return [.readCheckpoint]
        case .opening: return []
        case .open:
            if !self.isReading, now >= self.nextRead {
                self.isReading = true
                actions.append(.readStream(since: self.book?.position ?? StreamPosition(offset: 0, epoch: "")))
            }
            guard let book = self.book else { return actions }
            actions += self.remarks(on: book, now, isSilent)
            if !self.isPosting, now >= self.nextPost,
                let batch = book.outbox.batch(of: book.stream, limit: self.batchLimit)
            {
                self.isPosting = true
                actions.append(.post(batch))
            }
            if !self.isKeeping,
                self.unkept >= Self.checkpointEntries || self.unkept > 0 && now >= self.nextCheckpoint
            {
                self.isKeeping = true
                self.unkept = 0
                self.nextCheckpoint = now + Self.checkpointPause
                actions.append(.keep(book.checkpoint))
            }
            return actions
        }
    }

    /// What the clerk itself has to say in the stream, once it has read all of it.
    private mutating func remarks(
        on book: LifecycleBook, _ now: Int64, _ isSilent: (String) -> Bool
    ) -> [Action] {
        guard self.isCaughtUp, !self.isAppending else { return [] }
        var entries = book.nodes.keys.filter(isSilent).sorted().map {
            LifecycleEntry(node: $0, time: now, content: .gone)
        }
        if entries.isEmpty, let ending = book.nextEnding, ending <= now {
            entries = [LifecycleEntry(node: self.node, time: now, content: .tick)]
        }
        guard !entries.isEmpty else { return [] }
        self.isAppending = true
        self.isCaughtUp = false
        return entries.map { .append($0) }
    }

    // MARK: What came of it

    /// - Parameter message: `nil` when there is none.
    mutating func readCheckpoint(_ result: Result<LayerMessage?, LayerError>, now: Int64) {
        self.isReading = false
        guard self.phase == .opening else { return }
        switch result {
        case .success(let message):
            self.phase = .open
            self.book = message.flatMap(LifecycleBook.init(checkpoint:))
        // The next turn begins anew.
        case .failure: self.phase = .resting
        }
    }

    mutating func readStream(_ result: Result<HistoryPage, LayerError>, now: Int64) {
        self.isReading = false
        guard self.phase == .open else { return }
        guard case .success(let page) = result else {
            self.nextRead = now + Self.pause * 5
            return
        }
        let isWhole = self.read(page)
        let isFull = page.publications.count >= Self.pageLimit
        self.isCaughtUp = isWhole && !isFull
        self.nextRead = isWhole && !isFull ? now + Self.pause : now
    }

    /// - Returns: `false` when it belongs to another life of the stream, of which nothing was read.
    private mutating func read(_ page: HistoryPage) -> Bool {
        var book =
            self.book
            ?? LifecycleBook(
                stream: Self.name(of: page), position: StreamPosition(offset: 0, epoch: page.top.epoch))
        // Nobody else holds it while it changes.
        self.book = nil
        defer { self.book = book }
        guard page.top.epoch == book.position.epoch else {
            book.lostTrack(before: StreamPosition(offset: 0, epoch: page.top.epoch))
            self.unkept = Self.checkpointEntries
            return false
        }
        for publication in page.publications where publication.offset > book.position.offset {
            if publication.offset - 1 > book.position.offset { self.loseTrack(&book, before: publication.offset - 1) }
            let position = StreamPosition(offset: publication.offset, epoch: page.top.epoch)
            if let entry = LifecycleEntry(publication.message) {
                book.read(entry, at: position, self.rules)
            } else {
                book.skip(to: position)
            }
            self.unkept += 1
        }
        // What stood there is no longer kept.
        if page.publications.isEmpty, page.top.offset != book.position.offset {
            self.loseTrack(&book, before: page.top.offset)
        }
        return true
    }

    private mutating func loseTrack(_ book: inout LifecycleBook, before offset: UInt64) {
        book.lostTrack(before: StreamPosition(offset: offset, epoch: book.position.epoch))
        self.unkept = Self.checkpointEntries
    }

    /// The same for all who begin with the same page.
    private static func name(of page: HistoryPage) -> String {
        let first = page.publications.first?.offset ?? 1
        return first == 1 ? page.top.epoch : "\(page.top.epoch)-\(first)"
    }

    mutating func kept() { self.isKeeping = false }

    /// Entries of this gateway stand in the stream, or do not.
    mutating func appended(now: Int64) {
        self.isAppending = false
        self.isCaughtUp = false
        self.nextRead = min(self.nextRead, now)
    }

    /// The application has taken a batch, or has not.
    ///
    /// - Parameter random: 0 to 1.
    mutating func posted(_ batch: LifecycleBatch, isTaken: Bool, now: Int64, random: Double) -> [Action] {
        self.isPosting = false
        guard isTaken else {
            self.failures += 1
            let bound = self.backoff.delay(after: self.failures, random: 1)
            // Half of it at least, so that a busy application has some peace.
            let wait = bound * (0.5 + random / 2)
            let (seconds, attoseconds) = wait.components
            self.nextPost = now + seconds * 1_000 + attoseconds / 1_000_000_000_000_000
            return []
        }
        self.failures = 0
        self.nextPost = now
        if self.book?.stream == batch.stream { self.book?.outbox.take(upTo: batch.last) }
        return [.append(LifecycleEntry(node: self.node, time: now, content: .taken(batch.last)))]
    }
}

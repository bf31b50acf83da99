import NIOCore

/// One group's stream, for `HistoryState`. It knows no clock: whoever asks says what time it is.
final class HistoryStream: MemoryRosterEntry {
    typealias Time = HistoryState.Time

    let name: GroupName
    var place = 0
    /// The newest position; `nil` until something was kept, and when that was forgotten.
    private(set) var top: StreamPosition?
    /// The newest ones, without gaps, up to the top.
    private var publications = CircularBuffer<LayerMessage>()
    private var publicationsEnd = Time.zero
    private var topEnd = Time.zero
    private var version: UInt64 = 0
    private var versionEpoch = ""
    /// What became of publications with a key.
    private var results: [String: (position: StreamPosition, end: Time)] = [:]
    private var keys = MemoryQueue<(key: String, end: Time)>()
    /// The same, where witnesses say it.
    private var witnessed: [String: WitnessedPublications] = [:]

    init(name: GroupName) { self.name = name }

    /// Whether nothing is known of the stream.
    var isUnused: Bool { self.top == nil && self.results.isEmpty && self.witnessed.isEmpty }

    // MARK: Time

    /// Lets go what is over.
    ///
    /// - Returns: whether the position was forgotten.
    func expire(_ now: Time) -> Bool {
        while let first = self.keys.first, first.end <= now {
            _ = self.keys.popFirst()
            if let result = self.results[first.key], result.end <= now { self.results[first.key] = nil }
            self.witnessed[first.key]?.expire(now)
            if self.witnessed[first.key]?.isEmpty == true { self.witnessed[first.key] = nil }
        }
        if self.publicationsEnd <= now { self.publications = [] }
        guard self.top != nil, self.topEnd <= now else { return false }
        self.top = nil
        self.publications = []
        self.version = 0
        self.versionEpoch = ""
        return true
    }

    /// A look keeps the position known.
    func keepTop(until end: Time) { self.topEnd = max(self.topEnd, end) }

    /// The newest position and until when it is known, while it is.
    func top(at now: Time) -> (top: StreamPosition, end: Time)? {
        self.top.flatMap { self.topEnd > now ? ($0, self.topEnd) : nil }
    }

    func hasPublications(at now: Time) -> Bool { self.publicationsEnd > now }

    /// Whether something decides if a publication counts.
    var hasConditions: Bool { self.version > 0 || !self.results.isEmpty || !self.witnessed.isEmpty }

    /// Begins a stream that has no position yet.
    func begin(at position: StreamPosition) { if self.top == nil { self.top = position } }

    // MARK: Publications

    /// Why `options` say that there is nothing new, if they do.
    func result(for options: HistoryOptions, at now: Time) -> PublishResult? {
        if let key = options.idempotencyKey, let witness = options.witness {
            if let position = self.witnessed[key]?.position(of: witness, at: now) {
                return PublishResult(position: position, suppression: .idempotencyKey)
            }
        } else if let key = options.idempotencyKey, let result = self.results[key], result.end > now {
            return PublishResult(position: result.position, suppression: .idempotencyKey)
        }
        guard options.keepsHistory, options.version > 0, let top = self.top, options.version <= self.version,
            options.versionEpoch.isEmpty || options.versionEpoch == self.versionEpoch
        else { return nil }
        return PublishResult(position: top, suppression: .version)
    }

    /// - Parameter epoch: of the stream, if it begins now.
    /// - Returns: the message as it is heard.
    func keep(
        _ message: LayerMessage, _ options: HistoryOptions, at now: Time, epoch: @autoclosure () -> String
    ) -> LayerMessage {
        let top = StreamPosition(offset: (self.top?.offset ?? 0) &+ 1, epoch: self.top?.epoch ?? epoch())
        let message = message.positioned(at: top)
        self.top = top
        self.publications.append(message)
        if self.publications.count > options.size {
            self.publications.removeFirst(self.publications.count - options.size)
        }
        self.publicationsEnd = now + options.timeToLive
        self.keepTop(until: now + max(options.timeToLive, options.metaTimeToLive))
        if options.version > 0 {
            self.version = options.version
            self.versionEpoch = options.versionEpoch
        }
        return message
    }

    func remember(_ position: StreamPosition, of options: HistoryOptions, at now: Time) {
        guard let key = options.idempotencyKey else { return }
        let end = now + options.idempotencyTimeToLive
        if let witness = options.witness {
            self.witnessed[key, default: WitnessedPublications()].add(position, of: witness, until: end)
        } else {
            self.results[key] = (position, end)
        }
        self.keys.append((key, end))
    }

    func removePublications() { self.publications = [] }

    // MARK: Looking

    /// - Parameter top: the newest position.
    func page(_ query: HistoryQuery, top: StreamPosition) -> [StoredPublication] {
        var wanted = self.publications.startIndex..<self.publications.endIndex
        let first = top.offset &- UInt64(self.publications.count) &+ 1
        if let since = query.since {
            guard since.epoch.isEmpty || since.epoch == top.epoch else { return [] }
            // How many at the front are up to `since`, and how many before it.
            let upTo = since.offset < first ? 0 : min(since.offset - first, UInt64(Int.max - 1)) + 1
            let passed = min(self.publications.count, Int(upTo))
            let before = since.offset < first ? 0 : min(self.publications.count, Int(upTo) - 1)
            let start = self.publications.startIndex
            wanted =
                query.isReverse
                ? start..<self.publications.index(start, offsetBy: before)
                : self.publications.index(start, offsetBy: passed)..<self.publications.endIndex
        }
        let limit = query.limit < 0 ? Int.max : query.limit
        let part = self.publications[wanted]
        let page = query.isReverse ? part.suffix(limit).reversed() : Array(part.prefix(limit))
        let skipped = self.publications.distance(from: self.publications.startIndex, to: wanted.lowerBound)
        let lowest = first &+ UInt64(query.isReverse ? skipped + part.count - page.count : skipped)
        return page.enumerated().map { index, message in
            let step = UInt64(query.isReverse ? page.count - 1 - index : index)
            return StoredPublication(offset: lowest &+ step, message: message)
        }
    }
}

/// The streams of all groups, as one process knows them. A value without a clock and without a lock: what a time is, its
/// owner decides, and the same calls in the same order give the same positions everywhere.
///
/// What is over goes when it is asked for, and otherwise as the streams are looked through, two at each call. A group
/// without publications costs nothing, however often it is looked at: all such groups share one epoch.
package struct HistoryState {
    /// Since a beginning that the owner chooses.
    package typealias Time = Duration

    private var streams = MemoryRoster<HistoryStream>()
    /// Of streams that begin. Never one that a forgotten position had.
    private var epoch: String

    package init(epoch: String = Self.randomEpoch()) { self.epoch = epoch }

    /// Streams that are known, for tests of what is let go.
    package var count: Int { self.streams.count }

    private static let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".utf8)

    /// 8 letters and digits.
    package static func randomEpoch() -> String {
        var random = UInt64.random(in: .min ... .max)
        return String(unsafeUninitializedCapacity: 8) { room in
            for place in 0..<8 {
                room[place] = Self.letters[Int(random % 62)]
                random /= 62
            }
            return 8
        }
    }

    /// - Parameter beginning: the position before the first publication of a stream that is not known; `nil` has the state
    ///   choose.
    /// - Returns: what became of the message, and how it is to be sent; `nil` for one that is not.
    package mutating func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions, at now: Time,
        beginning: StreamPosition? = nil
    ) -> (result: PublishResult, message: LayerMessage?) {
        self.sweep(now)
        guard options.keepsHistory || options.idempotencyKey != nil else {
            return (PublishResult(position: StreamPosition(offset: 0, epoch: "")), message)
        }
        let known = self.stream(of: group, at: now)
        let stream = known ?? HistoryStream(name: group)
        if let result = stream.result(for: options, at: now) { return (result, nil) }
        if known == nil { self.streams.insert(stream) }
        if let beginning, options.keepsHistory { stream.begin(at: beginning) }
        let sent = options.keepsHistory ? stream.keep(message, options, at: now, epoch: self.epoch) : message
        let position =
            options.keepsHistory ? stream.top ?? .init(offset: 0, epoch: "") : StreamPosition(offset: 0, epoch: "")
        stream.remember(position, of: options, at: now)
        return (PublishResult(position: position), sent)
    }

    package mutating func page(of group: GroupName, _ query: HistoryQuery, at now: Time) -> HistoryPage {
        self.sweep(now)
        guard let stream = self.stream(of: group, at: now), let top = stream.top else {
            return HistoryPage(publications: [], top: StreamPosition(offset: 0, epoch: self.epoch))
        }
        stream.keepTop(until: now + query.metaTimeToLive)
        return HistoryPage(publications: query.limit == 0 ? [] : stream.page(query, top: top), top: top)
    }

    // MARK: For several who each have the same state

    /// Gives a group a position, if it has none, and keeps it known until `end`.
    package mutating func begin(_ group: GroupName, at now: Time, _ beginning: StreamPosition, until end: Time) {
        self.sweep(now)
        let stream = self.stream(of: group, at: now) ?? HistoryStream(name: group)
        if stream.isUnused { self.streams.insert(stream) }
        stream.begin(at: beginning)
        stream.keepTop(until: end)
    }

    /// As `page`, but changes nothing: a look of one is not known to the others.
    ///
    /// - Returns: also until when the position is known; `nil` for a group without one.
    package func look(at group: GroupName, _ query: HistoryQuery, at now: Time) -> (page: HistoryPage, end: Time)? {
        guard let stream = self.streams[group], let (top, end) = stream.top(at: now) else { return nil }
        let wanted = query.limit == 0 || !stream.hasPublications(at: now) ? [] : stream.page(query, top: top)
        return (HistoryPage(publications: wanted, top: top), end)
    }

    /// The position of a group of which nothing else is known that decides about publications: no keys, no version.
    package func bareTop(of group: GroupName, at now: Time) -> StreamPosition? {
        guard let stream = self.streams[group], !stream.hasConditions else { return nil }
        return stream.top(at: now)?.top
    }

    package mutating func removePublications(of group: GroupName) { self.streams[group]?.removePublications() }

    package mutating func removeAll() { self = HistoryState() }

    // MARK: Time

    /// What is known of a group now.
    private mutating func stream(of group: GroupName, at now: Time) -> HistoryStream? {
        guard let stream = self.streams[group] else { return nil }
        self.expire(stream, now)
        return stream.isUnused ? nil : stream
    }

    private mutating func sweep(_ now: Time) {
        for _ in 0..<2 {
            guard let stream = self.streams.next() else { return }
            self.expire(stream, now)
        }
    }

    private mutating func expire(_ stream: HistoryStream, _ now: Time) {
        if stream.expire(now) { self.epoch = Self.randomEpoch() }
        if stream.isUnused { self.streams.remove(stream) }
    }
}

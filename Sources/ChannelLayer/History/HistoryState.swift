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

    /// 8 letters and digits.
    package static func randomEpoch() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".utf8)
        return String(decoding: (0..<8).map { _ in letters.randomElement() ?? 0x61 }, as: UTF8.self)
    }

    /// - Returns: what became of the message, and how it is to be sent; `nil` for one that is not.
    package mutating func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions, at now: Time
    ) -> (result: PublishResult, message: LayerMessage?) {
        self.sweep(now)
        guard options.keepsHistory || options.idempotencyKey != nil else {
            return (PublishResult(position: StreamPosition(offset: 0, epoch: "")), message)
        }
        let stream = self.stream(of: group, at: now) ?? HistoryStream(name: group)
        if let result = stream.result(for: options, at: now) { return (result, nil) }
        if stream.isUnused { self.streams.insert(stream) }
        let sent = options.keepsHistory ? stream.keep(message, options, at: now, epoch: self.epoch) : message
        let position =
            options.keepsHistory ? stream.top ?? .init(offset: 0, epoch: "") : StreamPosition(offset: 0, epoch: "")
        if let key = options.idempotencyKey {
            stream.remember(position, under: key, until: now + options.idempotencyTimeToLive)
        }
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

import ChannelLayer
import NIOCore
import Testing

@testable import RabbitMQLayer

/// The histories that processes make of one log.
@Suite struct LogStateTests {
    private let now = ContinuousClock.now
    private let group = GroupName(unchecked: "news")

    private func publication(
        _ number: Int, from process: String = "p", at time: Int64 = 0, known: LogBeginning.Known? = nil,
        key: String? = nil
    ) -> LogEntry {
        var options = HistoryOptions(size: 5, timeToLive: .seconds(60), metaTimeToLive: .seconds(600))
        options.idempotencyKey = key
        return LogEntry(
            process: process, number: UInt64(number), time: time, group: "news",
            kind: .publication(numbered(number), options, LogBeginning(epoch: "epoch\(number)", known: known)))
    }

    private func read(_ entries: [LogEntry], from first: Int = 0, isLive: Bool = true) -> LogState {
        var state = LogState()
        for (place, entry) in entries.enumerated().dropFirst(first) {
            _ = state.apply(entry, at: UInt64(place), isLive: isLive, now: self.now)
        }
        return state
    }

    private func page(_ state: LogState, at milliseconds: Int64 = 0) -> HistoryPage? {
        state.histories.look(at: self.group, .everything, at: .milliseconds(milliseconds))?.page
    }

    @Test func anEntryIsReadAsItWasWritten() throws {
        var options = HistoryOptions(size: 3, timeToLive: .milliseconds(1_500))
        options.idempotencyKey = "key"
        options.version = .max
        options.versionEpoch = "v"
        let known = LogBeginning.Known(position: StreamPosition(offset: .max, epoch: "e"), place: 9)
        let kinds: [LogEntry.Kind] = [
            .hello, .alive, .removal, .absent(client: "c"),
            .publication(numbered(1), options, LogBeginning(epoch: "n", known: known)),
            .look(LogBeginning(epoch: "n"), timeToLive: .seconds(3)),
            .present([Presence(client: "c", user: "é", info: ByteBuffer(bytes: [0, 255]))]),
        ]
        for kind in kinds {
            let entry = LogEntry(process: "p", number: .max, time: 7, group: "g", kind: kind)
            #expect(LogEntry(try entry.encoded()) == entry)
        }
    }

    @Test func whatIsNoEntryIsNone() throws {
        var broken = try LogEntry(process: "p", number: 1, time: 2, kind: .hello).encoded()
        #expect(LogEntry(ByteBuffer()) == nil)
        #expect(LogEntry(ByteBuffer(string: "{\"k\": 1}")) == nil)
        broken.moveWriterIndex(to: broken.writerIndex - 1)
        #expect(LogEntry(broken) == nil)
        for kind in ["publication", "look", "present", "absent", "other"] {
            let message: LayerMessage = [
                "p": .string("p"), "n": .int(1), "t": .int(1), "g": .string("g"), "k": .string(kind),
            ]
            var body = ByteBuffer()
            try message.encodeMessagePack(into: &body)
            #expect(LogEntry(body) == nil)
        }
    }

    @Test func whoReadsTheSameHasTheSame() {
        let entries = (1...8).map { self.publication($0, from: $0.isMultiple(of: 2) ? "p" : "q", at: Int64($0)) }
        let page = self.page(self.read(entries))
        #expect(page == self.page(self.read(entries, isLive: false)))
        #expect(page?.top == StreamPosition(offset: 8, epoch: "epoch1"))
        #expect(page?.publications.map(\.offset) == [4, 5, 6, 7, 8])
    }

    @Test func whoMissedTheBeginningGoesOnFromWhatAWriterKnew() {
        var entries = (1...3).map { self.publication($0) }
        let writer = self.read(entries)
        let beginning = writer.beginning(of: self.group, at: 0)
        #expect(beginning.known == .init(position: StreamPosition(offset: 3, epoch: "epoch1"), place: 2))
        entries.append(self.publication(4, known: beginning.known))
        #expect(self.page(self.read(entries, from: 3))?.top == StreamPosition(offset: 4, epoch: "epoch1"))
        entries.insert(self.publication(9), at: 3)
        #expect(self.page(self.read(entries))?.top == StreamPosition(offset: 5, epoch: "epoch1"))
        #expect(
            self.page(self.read(entries, from: 4))?.top == StreamPosition(offset: 1, epoch: "epoch4"),
            "who may have missed one in between begins a new epoch")
    }

    @Test func nobodyGoesOnWhereKeysAreUnknown() {
        let writer = self.read([self.publication(1, key: "key")])
        #expect(writer.beginning(of: self.group, at: 0).known == nil)
    }

    @Test func timeIsThatOfTheEntriesAndNeverGoesBack() {
        let entries = [self.publication(1, at: 100_000), self.publication(2, from: "late", at: 5)]
        let state = self.read(entries)
        #expect(state.time == 100_000)
        #expect(self.page(state, at: 159_999)?.publications.count == 2)
        #expect(self.page(state, at: 160_000)?.publications.isEmpty == true)
        #expect(self.page(state, at: 160_000)?.top.offset == 2)
        #expect(self.page(state, at: 700_001) == nil)
        let again = self.read(entries + [self.publication(3, at: 700_001)])
        #expect(self.page(again, at: 700_001)?.top == StreamPosition(offset: 1, epoch: "epoch3"))
    }

    @Test func whoMovesToAnotherProcessStaysWhenTheFirstIsSilent() {
        var state = LogState()
        func apply(_ process: String, _ kind: LogEntry.Kind, after seconds: Int = 0) {
            let entry = LogEntry(process: process, number: 1, time: 0, group: "news", kind: kind)
            _ = state.apply(entry, at: (state.last ?? 0) + 1, isLive: true, now: self.now + .seconds(seconds))
        }
        let ann = Presence(client: "a", user: "ann", info: ByteBuffer())
        // The old process may say it once more before it knows.
        for process in ["old", "new", "old"] { apply(process, .present([ann])) }
        apply("new", .alive, after: 60)
        state.forgetSilent(for: .seconds(60), now: self.now + .seconds(60))
        #expect(state.presence.list(self.group).map(\.client) == ["a"])
        apply("old", .present([ann]), after: 61)
        apply("new", .absent(client: "a"), after: 62)
        #expect(state.presence.count == 0, "it has left, whatever the old one said")
    }

    @Test func presenceEndsWithItsProcess() {
        var state = LogState()
        func apply(_ process: String, _ kind: LogEntry.Kind, after seconds: Int = 0) {
            let entry = LogEntry(process: process, number: 1, time: 0, group: "news", kind: kind)
            _ = state.apply(
                entry, at: (state.last ?? 0) + 1, isLive: true, now: self.now + .seconds(seconds))
        }
        for (process, user) in [("p", "ann"), ("q", "bob")] {
            apply(process, .present([Presence(client: "c-\(process)", user: user, info: ByteBuffer())]))
        }
        apply("q", .absent(client: "c-p"))
        #expect(state.presence.stats(self.group) == PresenceStats(clients: 2, users: 2), "it is not q's")
        apply("p", .alive, after: 50)
        state.forgetSilent(for: .seconds(60), now: self.now + .seconds(59))
        #expect(state.presence.stats(self.group).clients == 2)
        state.forgetSilent(for: .seconds(60), now: self.now + .seconds(60))
        #expect(state.presence.list(self.group).map(\.client) == ["c-p"])
        state.excuseSilence(now: self.now + .seconds(200))
        state.forgetSilent(for: .seconds(60), now: self.now + .seconds(210))
        apply("p", .absent(client: "c-p"), after: 210)
        #expect(state.presence.count == 0)
    }
}

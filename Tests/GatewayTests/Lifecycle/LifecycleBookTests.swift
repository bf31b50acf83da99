import ChannelLayer
import Testing

@testable import Gateway

/// Entries in, events out.
struct LifecycleBookTests {
    private var book = LifecycleBook(stream: "s", position: StreamPosition(offset: 0, epoch: "e"))
    private var rules = LifecycleBook.Rules()

    init() { self.rules.linger = 1_000 }

    private mutating func read(
        _ node: String, _ time: Int64, _ content: LifecycleEntry.Content, serial: UInt64 = 0
    ) {
        let entry = LifecycleEntry(node: node, time: time, content: content, serial: serial)
        // As it comes out of the layer.
        guard let entry = LifecycleEntry(entry.message) else {
            Issue.record("cannot be read: \(entry)")
            return
        }
        self.book.read(
            entry, at: StreamPosition(offset: self.book.position.offset + 1, epoch: "e"), self.rules)
    }

    private mutating func come(_ node: String, _ time: Int64, _ client: String, user: String = "") {
        self.read(node, time, .facts([.connected(client, LifecycleClient(user: user, transport: "websocket"))]))
    }

    private mutating func go(_ node: String, _ time: Int64, _ client: String) {
        self.read(node, time, .facts([.disconnected(client, code: 1001)]))
    }

    /// What was told since the last look: `online 42`.
    private mutating func told() -> [String] {
        let told = self.book.outbox.events.map {
            "\($0.kind) \($0.client)\($0.channel)\($0.client.isEmpty ? $0.user : "")"
        }
        self.book.outbox.take(upTo: self.book.outbox.first + UInt64(told.count) - 1)
        return told
    }

    private mutating func expect(_ wanted: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        let told = self.told()
        #expect(told == wanted, sourceLocation: sourceLocation)
    }

    @Test mutating func aUserIsOnlineWithTheFirstConnectionAndOfflineAWhileAfterTheLast() {
        self.come("a", 0, "1", user: "42")
        self.come("b", 10, "2", user: "42")
        self.expect(["connected 1", "online 42", "connected 2"])
        self.go("a", 20, "1")
        self.go("b", 30, "2")
        self.read("b", 1_029, .tick)
        self.expect(["disconnected 1", "disconnected 2"])
        #expect(self.book.nextEnding == 1_030)
        self.read("b", 1_030, .tick)
        self.expect(["offline 42"])
        #expect(self.book.nextEnding == nil)
    }

    @Test mutating func whoLoadsAPageAnewWasNeverOffline() {
        self.come("a", 0, "1", user: "42")
        self.go("a", 100, "1")
        self.come("b", 900, "2", user: "42")
        self.read("b", 5_000, .tick)
        self.expect(["connected 1", "online 42", "disconnected 1", "connected 2"])
        self.go("b", 6_000, "2")
        self.read("b", 7_000, .tick)
        self.expect(["disconnected 2", "offline 42"])
    }

    @Test mutating func visitorsAreNobody() {
        self.come("a", 0, "1")
        self.go("a", 1, "1")
        self.read("a", 9_000, .tick)
        self.expect(["connected 1", "disconnected 1"])
    }

    @Test mutating func aChannelIsOccupiedAsLongAsAnyGatewayHasSubscribers() {
        self.read("a", 0, .facts([.followed("news")]))
        self.read("b", 1, .facts([.followed("news"), .followed("chat:7")]))
        self.read("a", 2, .facts([.left("news")]))
        self.expect(["occupied news", "occupied chat:7"])
        self.read("b", 3, .facts([.left("news")]))
        self.read("b", 1_003, .tick)
        self.expect(["vacated news"])
    }

    @Test mutating func ofADeadGatewayEverythingEndsThatNoOtherHas() {
        self.come("a", 0, "1", user: "42")
        self.come("a", 0, "2", user: "43")
        self.come("b", 0, "3", user: "43")
        self.read("a", 0, .facts([.followed("news"), .followed("own")]))
        self.read("b", 0, .facts([.followed("news")]))
        _ = self.told()
        self.read("a", 10_000, .gone)
        self.read("a", 10_100, .gone)
        self.read("b", 11_000, .tick)
        self.expect(["disconnected 1", "disconnected 2", "offline 42", "vacated own"])
        #expect(self.book.nodes.keys.sorted() == ["b"])
    }

    @Test mutating func whatStandsThereTwiceIsToldOnce() {
        for _ in 0..<2 { self.come("a", 0, "1", user: "42") }
        for _ in 0..<2 { self.go("a", 1, "1") }
        self.read("a", 2_000, .tick)
        self.expect(["connected 1", "online 42", "disconnected 1", "offline 42"])
    }

    @Test mutating func aGatewayThatSaysWhatItHasTellsTheDifference() {
        self.come("a", 0, "1", user: "42")
        self.come("a", 0, "2", user: "43")
        _ = self.told()
        self.book.lostTrack(before: StreamPosition(offset: 50, epoch: "e"))
        #expect(self.book.known.isEmpty)
        let state = LifecycleState(
            clients: [
                "2": LifecycleClient(user: "43", transport: "websocket"),
                "4": LifecycleClient(user: "", transport: "websocket"),
                "3": LifecycleClient(user: "44", transport: "sse"),
            ], channels: ["news"])
        self.read("a", 1, .state(state))
        // In the order in which they came, over a checkpoint as well.
        self.expect(["disconnected 1", "connected 4", "connected 3", "online 44", "occupied news"])
        #expect(self.book.known == ["a"])
        self.book = LifecycleBook(checkpoint: self.book.checkpoint) ?? self.book
        self.read("a", 2, .gone)
        self.expect(["disconnected 2", "disconnected 4", "disconnected 3"])
    }

    @Test mutating func whatWasWrittenTwiceIsReadOnce() {
        let come = LifecycleFact.connected("1", LifecycleClient(user: "42", transport: "websocket"))
        for _ in 0..<2 { self.read("a", 0, .facts([come, .disconnected("1", code: 1000)]), serial: 1) }
        self.expect(["connected 1", "online 42", "disconnected 1"])
        // Another gateway counts for itself.
        self.read("b", 0, .facts([.followed("news")]), serial: 1)
        self.expect(["occupied news"])
    }

    @Test mutating func whatComesLateUndoesNothing() {
        self.read("a", 0, .state(LifecycleState()), serial: 1)
        self.read("a", 1, .facts([.followed("news")]), serial: 2)
        self.book = LifecycleBook(checkpoint: self.book.checkpoint) ?? self.book
        self.read("a", 2, .state(LifecycleState()), serial: 1)
        self.read("a", 9_000, .tick)
        self.expect(["occupied news"])
        #expect(self.book.known == ["a"])
    }

    @Test mutating func ofWhatIsMissingAllAreAsked() {
        for node in ["a", "b"] { self.read(node, 0, .state(LifecycleState()), serial: 1) }
        self.read("a", 1, .facts([.followed("news")]), serial: 2)
        #expect(self.book.known == ["a", "b"])
        self.read("a", 2, .facts([.followed("more")]), serial: 4)
        #expect(self.book.known == [])
        // A state says it all, whatever was before.
        self.read("a", 3, .state(LifecycleState(channels: ["news", "more"])), serial: 9)
        #expect(self.book.known == ["a"])
        self.expect(["occupied news", "occupied more"])
    }

    private mutating func move(_ node: String, _ time: Int64, _ client: String) {
        self.read(node, time, .facts([.moved(client)]))
    }

    @Test mutating func whoMovesToAnotherProcessWasNeverGone() {
        self.come("a", 0, "1", user: "42")
        self.come("a", 0, "2", user: "43")
        self.expect(["connected 1", "online 42", "connected 2", "online 43"])
        // Either may be the first to say so.
        self.move("a", 10, "1")
        self.book = LifecycleBook(checkpoint: self.book.checkpoint) ?? self.book
        self.come("b", 500, "1", user: "42")
        self.come("b", 20, "2", user: "43")
        self.move("a", 30, "2")
        self.read("a", 40, .gone)
        self.read("b", 9_000, .tick)
        self.expect([])
        #expect(self.book.moves.isEmpty)
        // It was killed before it could say so.
        self.come("c", 9_000, "2", user: "43")
        self.read("b", 9_001, .gone)
        self.expect(["disconnected 1"])
        self.go("c", 9_002, "2")
        self.read("c", 20_000, .tick)
        self.expect(["disconnected 2", "offline 42", "offline 43"])
    }

    @Test mutating func whoMovesAndArrivesNowhereIsGone() {
        self.come("a", 0, "1", user: "42")
        self.move("a", 10, "1")
        self.expect(["connected 1", "online 42"])
        guard let restored = LifecycleBook(checkpoint: self.book.checkpoint) else {
            Issue.record("no checkpoint: \(self.book.checkpoint)")
            return
        }
        #expect(restored.checkpoint == self.book.checkpoint)
        self.book = restored
        // What waits for less time comes before it.
        self.come("a", 20, "2", user: "43")
        self.go("a", 30, "2")
        #expect(self.book.nextEnding == 1_030)
        self.read("a", 1_030, .tick)
        self.expect(["connected 2", "online 43", "disconnected 2", "offline 43"])
        #expect(self.book.nextEnding == 5_010)
        self.read("a", 5_010, .tick)
        self.expect(["disconnected 1"])
        self.read("a", 6_010, .tick)
        self.expect(["offline 42"])
        // Late, it counts anew.
        self.come("b", 7_000, "1", user: "42")
        self.expect(["connected 1", "online 42"])
    }

    @Test mutating func onlyWhatIsWantedIsTold() {
        self.rules.kinds = [.online, .offline]
        self.rules.linger = 0
        self.come("a", 0, "1", user: "42")
        self.go("a", 1, "1")
        self.expect(["online 42", "offline 42"])
    }

    @Test mutating func aClockThatGoesBackHarmsNothing() {
        self.come("a", 10_000, "1", user: "42")
        self.go("b", 5_000, "none")
        self.go("a", 4_000, "1")
        #expect(self.book.nextEnding == 11_000)
    }

    @Test mutating func whoeverGoesOnFromACheckpointTellsTheSame() {
        self.come("a", 0, "1", user: "42")
        self.come("b", 5, "2", user: "43")
        self.read("b", 6, .facts([.followed("news"), .followed("chat:7"), .left("news")]))
        self.go("a", 7, "1")
        self.read("a", 8, .taken(2))
        guard let restored = LifecycleBook(checkpoint: self.book.checkpoint) else {
            Issue.record("no checkpoint: \(self.book.checkpoint)")
            return
        }
        #expect(restored.checkpoint == self.book.checkpoint)
        var other = self
        other.book = restored
        self.read("b", 10_000, .gone)
        self.read("a", 20_000, .tick)
        other.read("b", 10_000, .gone)
        other.read("a", 20_000, .tick)
        #expect(other.book.outbox == self.book.outbox)
        #expect(self.book.outbox.first == 3)
        let told = self.told()
        let others = other.told()
        #expect(told == others)
        #expect(told.suffix(5) == ["vacated news", "offline 42", "disconnected 2", "offline 43", "vacated chat:7"])
    }

    @Test func whatIsNoEntryIsPassedOver() {
        for message: LayerMessage in [
            [:], ["type": .string("carillon.lifecycle")],
            ["type": .string("carillon.lifecycle"), "node": .string("a"), "time": .int(1)],
            ["type": .string("carillon.lifecycle"), "node": .string("a"), "time": .int(1), "taken": .int(-1)],
            ["type": .string("carillon.lifecycle"), "node": .string("a"), "time": .int(1), "state": .array([.null])],
        ] {
            #expect(LifecycleEntry(message) == nil)
        }
        #expect(LifecycleBook(checkpoint: ["type": .string("carillon.lifecycle.checkpoint")]) == nil)
    }
}

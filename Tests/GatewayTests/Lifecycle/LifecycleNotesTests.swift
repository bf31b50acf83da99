import Testing

@testable import Gateway

struct LifecycleNotesTests {
    private static let somebody = LifecycleClient(user: "42", transport: "websocket")
    private static let nothing = LifecycleEntry.Content.state(LifecycleState())

    private var notes = LifecycleNotes(node: "a", limit: 3)

    /// All that is to be written now.
    private mutating func written() -> [LifecycleEntry] {
        var entries: [LifecycleEntry] = []
        while let entry = self.notes.next(at: 0) { entries.append(entry) }
        return entries
    }

    private mutating func expect(
        _ contents: [LifecycleEntry.Content], _ serials: [UInt64], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let entries = self.written()
        #expect(entries.map(\.content) == contents, sourceLocation: sourceLocation)
        #expect(entries.map(\.serial) == serials, sourceLocation: sourceLocation)
        #expect(entries.allSatisfy { $0.node == "a" }, sourceLocation: sourceLocation)
    }

    @Test mutating func thereIsNothingAtFirstAndThenWhatHappens() {
        self.notes.note(.connected("1", Self.somebody))
        self.notes.note(.disconnected("1", code: 1000))
        self.expect(
            [Self.nothing, .facts([.connected("1", Self.somebody), .disconnected("1", code: 1000)])], [1, 2])
        #expect(self.notes.isDone)
        self.notes.note(.followed("news"))
        self.notes.note(.followed("news"))
        #expect(!self.notes.isDone)
        self.expect([.facts([.followed("news")])], [3])
    }

    @Test mutating func whatWasNotWrittenIsWrittenAgainAsItWas() {
        for serial: UInt64 in 1...2 {
            guard let entry = self.notes.next(at: 0) else {
                Issue.record("nothing to write")
                return
            }
            #expect(entry.serial == serial)
            self.notes.note(.followed("\(serial)"))
            self.notes.failed(entry)
            #expect(!self.notes.isDone)
            let again = self.notes.next(at: 1)
            #expect(again == entry)
        }
        self.expect([.facts([.followed("2")])], [3])
    }

    @Test mutating func whatIsTooMuchIsForgottenAndTheStateIsSaidAnew() {
        _ = self.written()
        for channel in ["a", "b", "c", "d"] { self.notes.note(.followed(channel)) }
        #expect(self.notes.forgotten == 4)
        self.notes.note(.left("b"))
        #expect(self.notes.forgotten == 5)
        self.expect([.state(LifecycleState(channels: ["a", "c", "d"]))], [2])
        self.notes.note(.followed("e"))
        self.expect([.facts([.followed("e")])], [3])
    }

    @Test mutating func whatCameBackCountsAsWell() {
        _ = self.written()
        for channel in ["a", "b"] { self.notes.note(.followed(channel)) }
        guard let entry = self.notes.next(at: 0) else {
            Issue.record("nothing to write")
            return
        }
        for channel in ["c", "d"] { self.notes.note(.followed(channel)) }
        self.notes.failed(entry)
        #expect(self.notes.forgotten == 0)
        self.notes.note(.followed("e"))
        #expect(self.notes.forgotten == 5)
        self.expect([.state(LifecycleState(channels: ["a", "b", "c", "d", "e"]))], [3])
    }

    @Test mutating func whatCameBackAfterAllWasForgottenIsForgottenToo() {
        _ = self.written()
        self.notes.note(.followed("a"))
        guard let entry = self.notes.next(at: 0) else {
            Issue.record("nothing to write")
            return
        }
        for channel in ["b", "c", "d", "e"] { self.notes.note(.followed(channel)) }
        self.notes.failed(entry)
        #expect(self.notes.forgotten == 5)
        self.expect([.state(LifecycleState(channels: ["a", "b", "c", "d", "e"]))], [3])
    }

    @Test mutating func whoeverHasToSayItAllSaysBeforeWhatHappenedBefore() {
        _ = self.written()
        self.notes.note(.connected("1", Self.somebody))
        self.notes.stateAgain()
        self.notes.stateAgain()
        self.notes.note(.disconnected("1", code: 1000))
        self.expect(
            [
                .facts([.connected("1", Self.somebody)]), .state(LifecycleState(clients: ["1": Self.somebody])),
                .facts([.disconnected("1", code: 1000)]),
            ], [2, 3, 4])
        self.notes.stateAgain()
        self.expect([Self.nothing], [5])
    }

    @Test mutating func theLastEntryIsThatItHasGone() {
        self.notes.note(.followed("news"))
        self.notes.end()
        self.notes.note(.left("news"))
        self.notes.stateAgain()
        #expect(!self.notes.isDone)
        let entries = self.written()
        #expect(entries.map(\.content) == [Self.nothing, .facts([.followed("news"), .left("news")]), .gone])
        self.notes.note(.followed("more"))
        #expect(self.notes.isDone)
        if let last = entries.last { self.notes.failed(last) }
        #expect(!self.notes.isDone)
        self.expect([.gone], [3])
    }
}

import Testing

@testable import Gateway

/// From a gateway's notes, over a layer that takes nothing for a while, to the application.
struct LifecycleRestatingTests {
    private var site = LifecycleSite()
    private var clerk = LifecycleSite.clerk("a")
    private var notes = LifecycleNotes(node: "b", limit: 5)

    /// Seven users connect, those whose connections have the last names first.
    private mutating func sevenCome() {
        for (number, name) in "hgfedcb".enumerated() {
            self.notes.note(
                .connected(String(name), LifecycleClient(user: "\(number + 1)", transport: "websocket")))
        }
    }

    private static let seven = "hgfedcb".enumerated().flatMap { ["connected \($1)", "online \($0 + 1)"] }

    private static func numbered(_ events: [String]) -> [String] {
        events.enumerated().map { "\($0 + 1) \($1)" }
    }

    @Test mutating func whatWasForgottenIsToldOnceInTheOrderInWhichItCame() {
        self.site.write(&self.notes)
        self.site.run(&self.clerk)
        self.sevenCome()
        #expect(self.notes.forgotten > 0)
        self.site.write(&self.notes)
        self.site.run(&self.clerk)
        #expect(self.site.told == Self.numbered(Self.seven))
        #expect(self.clerk.book?.known == ["b"])
        // And on with what happens.
        self.notes.note(.disconnected("h", code: 1000))
        self.site.write(&self.notes)
        self.site.run(&self.clerk)
        #expect(self.site.told == Self.numbered(Self.seven + ["disconnected h"]))
    }

    @Test mutating func ofWhatWasForgottenAndWaitedTooLongTheNumbersAreSaid() {
        self.clerk = LifecycleSite.clerk("a", backlog: 5)
        self.site.applicationWorks = false
        self.sevenCome()
        self.site.write(&self.notes)
        self.site.run(&self.clerk, for: 5_000)
        self.site.applicationWorks = true
        self.site.run(&self.clerk, for: 40_000)
        #expect(self.site.told == Array(Self.numbered(Self.seven).suffix(5)))
        #expect(self.site.posted.map(\.missing) == [1...9])
    }

    @Test mutating func whoCameAndWentIsToldOnceThoughItWasWrittenTwice() {
        self.site.write(&self.notes)
        self.notes.note(.connected("1", LifecycleClient(user: "42", transport: "websocket")))
        self.notes.note(.disconnected("1", code: 1000))
        guard let entry = self.notes.next(at: 0) else {
            Issue.record("nothing to write")
            return
        }
        // The layer took it, and nobody said so.
        self.site.entries.append(entry)
        self.notes.failed(entry)
        self.site.write(&self.notes)
        self.site.run(&self.clerk)
        #expect(self.site.told == Self.numbered(["connected 1", "online 42", "disconnected 1"]))
    }

    @Test mutating func aStateThatComesLateUndoesNothing() {
        self.site.write(&self.notes)
        self.notes.stateAgain()
        guard let late = self.notes.next(at: 0) else {
            Issue.record("nothing to write")
            return
        }
        self.notes.failed(late)
        self.sevenCome()
        self.site.write(&self.notes)
        self.site.entries.append(late)
        self.site.run(&self.clerk)
        #expect(self.site.told == Self.numbered(Self.seven))
        #expect(self.clerk.book?.known == ["b"])
    }

    @Test mutating func whatAStreamLostUnreadIsToldAnew() {
        self.site.write(&self.notes)
        self.site.run(&self.clerk)
        for channel in ["a", "b", "c"] {
            self.notes.note(.followed(channel))
            self.site.write(&self.notes)
        }
        // As if a broker had gone back to what it had saved, and had been written to before anybody looked.
        self.site.entries.remove(at: 1)
        self.site.run(&self.clerk)
        #expect(self.clerk.book?.known == [])
        // That it is not known the gateway hears with a beat.
        self.notes.stateAgain()
        self.site.write(&self.notes)
        self.site.run(&self.clerk)
        #expect(Set(self.site.told.map { $0.drop { $0 != "o" } }) == ["occupied a", "occupied b", "occupied c"])
        #expect(self.site.told.count == 3)
    }
}

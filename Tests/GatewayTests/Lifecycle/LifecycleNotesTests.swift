import Testing

@testable import Gateway

struct LifecycleNotesTests {
    private static let somebody = LifecycleClient(user: "42", transport: "websocket")

    @Test func theFirstEntrySaysWhatThereIsAndTheOthersWhatHappens() {
        var notes = LifecycleNotes(limit: 10)
        notes.note(.connected("1", Self.somebody))
        let entry1 = notes.next()
        #expect(entry1 == .state(LifecycleState(clients: ["1": Self.somebody])))
        let entry2 = notes.next()
        #expect(entry2 == nil)
        notes.note(.followed("news"))
        notes.note(.disconnected("1", code: 1000))
        let entry3 = notes.next()
        #expect(entry3 == .facts([.followed("news"), .disconnected("1", code: 1000)]))
    }

    @Test func whatWasNotWrittenComesFirst() {
        var notes = LifecycleNotes(limit: 10)
        _ = notes.next()
        notes.note(.followed("a"))
        guard let content = notes.next() else {
            Issue.record("nothing to write")
            return
        }
        notes.note(.followed("b"))
        notes.failed(content)
        let entry4 = notes.next()
        #expect(entry4 == .facts([.followed("a"), .followed("b")]))
    }

    @Test func whatIsTooMuchIsForgottenAndTheStateIsSaidAnew() {
        var notes = LifecycleNotes(limit: 2)
        _ = notes.next()
        for channel in ["a", "b", "c"] { notes.note(.followed(channel)) }
        #expect(notes.forgotten == 3)
        notes.note(.left("b"))
        let entry5 = notes.next()
        #expect(entry5 == .state(LifecycleState(channels: ["a", "c"])))
        let entry6 = notes.next()
        #expect(entry6 == nil)
    }

    @Test func aStateThatWasNotWrittenIsSaidAsItIsThen() {
        var notes = LifecycleNotes(limit: 2)
        guard let content = notes.next() else {
            Issue.record("nothing to write")
            return
        }
        notes.note(.followed("a"))
        notes.failed(content)
        let entry7 = notes.next()
        #expect(entry7 == .state(LifecycleState(channels: ["a"])))
        let entry8 = notes.next()
        #expect(entry8 == nil)
    }
}

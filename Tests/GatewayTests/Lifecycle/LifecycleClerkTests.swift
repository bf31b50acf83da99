import ChannelLayer
import Testing

@testable import Gateway

/// The clerk's part against a stream in memory.
struct LifecycleClerkTests {
    private static let somebody = LifecycleClient(user: "42", transport: "websocket")

    private static func clerk(_ node: String, backlog: Int = 100, batch: Int = 100) -> LifecycleClerk {
        LifecycleSite.clerk(node, backlog: backlog, batch: batch)
    }

    @Test func whatHappensIsToldOnceAndInOrder() {
        var site = LifecycleSite()
        var clerk = Self.clerk("a")
        site.happen("b", .connected("1", Self.somebody), .followed("news"))
        site.run(&clerk)
        site.happen("b", .disconnected("1", code: 1001))
        site.run(&clerk, for: 2_000)
        #expect(site.told == ["1 connected 1", "2 online 42", "3 occupied news", "4 disconnected 1", "5 offline 42"])
        #expect(site.posted.allSatisfy { $0.stream == "e" && $0.missing == nil })
        #expect(clerk.isDone)
    }

    @Test func batchesAreNoLargerThanTheyMayBe() {
        var site = LifecycleSite()
        var clerk = Self.clerk("a", batch: 2)
        site.happen("b", .followed("1"), .followed("2"), .followed("3"))
        site.run(&clerk)
        #expect(site.posted.map(\.events.count) == [2, 1])
    }

    @Test func anApplicationThatIsAwayIsToldLaterAndOfWhatIsMissing() {
        var site = LifecycleSite()
        var clerk = Self.clerk("a", backlog: 3)
        site.applicationWorks = false
        for number in 1...5 { site.happen("b", .followed("\(number)")) }
        site.run(&clerk, for: 5_000)
        #expect(site.posted.isEmpty)
        site.applicationWorks = true
        site.run(&clerk, for: 40_000)
        #expect(site.told == ["3 occupied 3", "4 occupied 4", "5 occupied 5"])
        #expect(site.posted.first?.missing == 1...2)
    }

    @Test func whoSucceedsAClerkGoesOnWithItsNumbers() {
        for hasCheckpoint in [true, false] {
            var site = LifecycleSite()
            var first = Self.clerk("a")
            site.happen("a", .connected("1", Self.somebody))
            site.happen("b", .connected("2", Self.somebody), .followed("news"))
            // A checkpoint comes after ten seconds.
            site.run(&first, for: hasCheckpoint ? 12_000 : 500)
            #expect((site.checkpoint != nil) == hasCheckpoint)
            site.happen("b", .followed("more"))
            site.silent = ["a"]
            var second = Self.clerk("b")
            site.run(&second)
            #expect(
                site.told == [
                    "1 connected 1", "2 online 42", "3 connected 2", "4 occupied news", "5 occupied more",
                    "6 disconnected 1",
                ])
        }
    }

    @Test func whatWasToldButNotWrittenDownIsToldAgainWithTheSameNumbers() {
        var site = LifecycleSite()
        var first = Self.clerk("a")
        site.happen("b", .connected("1", Self.somebody))
        site.run(&first)
        // It died before it could write that it was taken.
        site.entries.removeAll { $0.content == .taken(2) }
        var second = Self.clerk("b")
        site.run(&second)
        #expect(site.told == ["1 connected 1", "2 online 42", "1 connected 1", "2 online 42"])
    }

    @Test func aStreamThatBeginsAnewIsReadFromItsBeginning() {
        var site = LifecycleSite()
        var clerk = Self.clerk("a")
        site.happen("b", .connected("1", Self.somebody))
        let state = LifecycleState(clients: ["1": Self.somebody])
        site.entries.append(LifecycleEntry(node: "b", time: 0, content: .state(state)))
        site.run(&clerk)
        #expect(clerk.book?.known == ["b"])
        site.entries = []
        site.epoch = "f"
        site.run(&clerk)
        #expect(clerk.book?.known == [])
        site.entries.append(LifecycleEntry(node: "b", time: 0, content: .state(LifecycleState(channels: ["news"]))))
        site.run(&clerk)
        #expect(clerk.book?.known == ["b"])
        #expect(site.told.suffix(3) == ["3 disconnected 1", "4 occupied news", "5 offline 42"])
        // Numbers go on.
        #expect(Set(site.posted.map(\.stream)) == ["e"])
    }

    @Test func whatIsNoLongerKeptIsNoticed() {
        var site = LifecycleSite()
        var clerk = Self.clerk("a")
        site.entries.append(LifecycleEntry(node: "b", time: 0, content: .state(LifecycleState())))
        site.run(&clerk)
        #expect(clerk.book?.known == ["b"])
        for number in 1...4 { site.happen("b", .followed("\(number)")) }
        site.kept = site.entries.count - 1
        site.run(&clerk)
        #expect(clerk.book?.known == [])
        #expect(site.told.last == "1 occupied 4")
    }

    @Test func whoIsNoClerkDoesNothing() {
        var clerk = Self.clerk("a")
        let actions = clerk.work(isClerk: false, now: 0) { _ in true }
        #expect(actions == [])
        #expect(clerk.isDone)
    }

    @Test func aLayerThatIsAwayIsAskedAgain() {
        var clerk = Self.clerk("a")
        let error = LayerError(.unavailable, "away")
        func work(at time: Int64) -> [LifecycleClerk.Action] {
            clerk.work(isClerk: true, now: time) { _ in false }
        }
        var actions = [work(at: 0)]
        clerk.readCheckpoint(.failure(error), now: 0)
        actions.append(work(at: 0))
        clerk.readCheckpoint(.success(nil), now: 0)
        actions.append(work(at: 0))
        clerk.readStream(.failure(error), now: 0)
        actions.append(work(at: 0))
        actions.append(work(at: 5_000))
        let read = LifecycleClerk.Action.readStream(since: StreamPosition(offset: 0, epoch: ""))
        #expect(actions == [[.readCheckpoint], [.readCheckpoint], [read], [], [read]])
    }
}

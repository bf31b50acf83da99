import ChannelLayer
import JSON
import NIOCore
import TestSupport
import Testing

private let memory = ContractLayer(
    "memory",
    [
        .normalChannels, .capacity, .expiry, .groupExpiry, .flush, .history, .historyOrder, .historyInOneStep,
        .historyFlush,
        .historyExpiry, .presence,
    ]
) { configuration in
    let clock = MovableClock()
    let drops = DropRecorder()
    let layer = MemoryLayer(configuration: configuration, observer: drops, now: { clock.now })
    return ContractBroker(drops: drops, connect: { layer }, advance: { clock.advance(by: $0) })
}

@Suite(.timeLimit(.minutes(1))) struct MemoryLayerTests {
    @Test(arguments: memory.claims) func theMemoryLayerKeepsTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: memory)
    }

    private let clock = MovableClock()
    private let drops = DropRecorder()
    private let layer: MemoryLayer

    init() {
        var configuration = LayerConfiguration()
        configuration.expiry = .seconds(60)
        configuration.groupExpiry = .seconds(600)
        self.layer = MemoryLayer(configuration: configuration, observer: self.drops, now: { [clock] in clock.now })
    }

    private func message(_ number: Int) -> LayerMessage { ["type": "test", "number": .int(Int64(number))] }

    /// Starts a reader, and returns when `count` wait.
    private func reader(of channel: ChannelName, count: Int) async -> Task<LayerMessage, any Error> {
        let task = Task { try await self.layer.receive(from: channel) }
        while self.layer.readersWaiting(on: channel) < count { await Task.yield() }
        return task
    }

    @Test func whoCameFirstIsServedFirst() async throws {
        let channel = try ChannelName("queue")
        let first = await self.reader(of: channel, count: 1)
        let second = await self.reader(of: channel, count: 2)
        let third = await self.reader(of: channel, count: 3)
        second.cancel()
        _ = await second.result
        for number in 0..<2 { try await self.layer.send(self.message(number), to: channel) }
        #expect(try await first.value == self.message(0))
        #expect(try await third.value == self.message(1), "who left does not hold up the others")
    }

    @Test func jsonTextArrivesUntouched() async throws {
        let channel = try ChannelName("texts")
        let text = try JSONText(validating: ByteBuffer(string: "{\"a\" : 1}"))
        try await self.layer.send(["data": .json(text)], to: channel)
        #expect(try await self.layer.receive(from: channel) == ["data": .json(text)])
    }

    @Test func nothingIsHeldForNamesNobodyUses() async throws {
        for number in 0..<500 {
            let channel = try ChannelName("used.\(number)")
            try await self.layer.send(self.message(number), to: channel)
            _ = try await self.layer.receive(from: channel)
            let wait = Task { try await self.layer.receive(from: channel) }
            wait.cancel()
            _ = await wait.result
        }
        #expect(self.layer.holdings == (0, 0, 0))
    }

    @Test func whatNobodyReadsGoesInTimeWhileOthersSend() async throws {
        for number in 0..<200 {
            try await self.layer.send(self.message(number), to: try ChannelName("unread.\(number)"))
        }
        #expect(self.layer.holdings.mailboxes == 200)
        self.clock.advance(by: .seconds(61))
        let live = try ChannelName("live")
        for number in 0..<101 {
            try await self.layer.send(self.message(number), to: live)
            _ = try await self.layer.receive(from: live)
        }
        #expect(self.layer.holdings.mailboxes == 0)
        let expired = self.drops.dropped(.expired)
        #expect(expired.count == 200)
        #expect(expired.values.allSatisfy { $0 == 1 })
    }

    @Test func membershipsNobodyRenewsGoInTimeWhileOthersJoin() async throws {
        let member = try ChannelName("member")
        for number in 0..<200 { try await self.layer.groupAdd(try GroupName("old.\(number)"), member) }
        self.clock.advance(by: .seconds(601))
        for _ in 0..<400 { try await self.layer.groupAdd(try GroupName("new"), member) }
        #expect(self.layer.holdings.groups == 1)
        try await self.layer.groupDiscard(try GroupName("new"), member)
        #expect(self.layer.holdings.groups == 0)
    }

    @Test func oneLargeGroupForgetsItsDeadMembersToo() async throws {
        let group = try GroupName("large")
        for number in 0..<300 { try await self.layer.groupAdd(group, try ChannelName("old.\(number)")) }
        self.clock.advance(by: .seconds(601))
        let live = try ChannelName("live")
        try await self.layer.groupAdd(group, live)
        try await self.layer.send(self.message(1), toGroup: group)
        #expect(self.layer.holdings.mailboxes == 1, "only the live member got it")
        try await self.layer.groupDiscard(group, live)
        #expect(self.layer.holdings.groups == 0)
    }

    @Test func feedsLeaveNothingBehind() async throws {
        let feed = self.layer.openFeed(FeedRecorder())
        for number in 0..<50 { feed.follow(try GroupName("group.\(number)")) { #expect($0 == nil) } }
        #expect(self.layer.holdings.groups == 50)
        feed.unfollow(try GroupName("group.7"))
        #expect(self.layer.holdings.groups == 49)
        feed.close()
        #expect(self.layer.holdings.groups == 0)
    }

    @Test func aListenerMaySendAndFollow() async throws {
        let echo = Echo(layer: self.layer, to: try GroupName("answers"))
        let questions = self.layer.openFeed(echo)
        let heard = FeedRecorder()
        let answers = self.layer.openFeed(heard)
        questions.follow(try GroupName("questions")) { #expect($0 == nil) }
        answers.follow(try GroupName("answers")) { #expect($0 == nil) }
        try await self.layer.send(self.message(1), toGroup: try GroupName("questions"))
        #expect(heard.arrivals.map(\.message) == [self.message(1)], "delivered before the send returns")
        questions.close()
        answers.close()
    }

    @Test func whatIsSubmittedInVainIsCounted() throws {
        let channel = try ChannelName("full")
        for number in 0..<103 { self.layer.submit(self.message(number), to: channel, completion: nil) }
        #expect(self.drops.dropped(.overCapacity) == ["full": 3])
        self.layer.submit(["__asgi_channel__": "x"], to: channel, completion: nil)
        self.layer.submit(["__asgi_group__": "x"], toGroup: try GroupName("g"), completion: nil)
        #expect(self.drops.dropped(.invalid) == ["full": 1, "g": 1])
    }

    private struct Echo: GroupFeedListener {
        let layer: MemoryLayer
        let to: GroupName
        func arrived(_ message: LayerMessage, in group: GroupName) {
            self.layer.submit(message, toGroup: self.to, completion: nil)
        }
        func feedInterrupted(_ reason: LayerError) {}
        func feedRestored() {}
    }
}

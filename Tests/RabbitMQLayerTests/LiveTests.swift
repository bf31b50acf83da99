import ChannelLayer
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RabbitMQLayer

/// What RabbitMQ's part of the contract does not say, against a real broker that all tests share.
@Suite(.timeLimit(.minutes(3))) struct LiveTests {
    private let drops = DropRecorder()

    private func layer(_ configuration: RabbitMQConfiguration) -> RabbitMQLayer {
        RabbitMQLayer(configuration: configuration, observer: self.drops, logger: quietLogger)
    }

    private func configuration(
        _ change: (inout RabbitMQConfiguration) -> Void = { _ in }
    ) async throws -> RabbitMQConfiguration {
        try testConfiguration(try await RabbitMQProcess.shared(), change)
    }

    @Test func badBodiesHarmNobody() async throws {
        let configuration = try await self.configuration()
        let layer = self.layer(configuration)
        let group = try GroupName("room")
        let heard = FeedRecorder()
        let feed = layer.openFeed(heard)
        try await layer.follow(group, by: feed)
        let bad = ["", "{}", "\u{0}", String(repeating: "\u{81}", count: 1_000)].map { ByteBuffer(string: $0) }
        try RawPublisher.publish(bad, exchange: configuration.groupsExchange, key: "room", configuration)
        try await layer.send(numbered(1), toGroup: group)
        #expect(await heard.arrivals(1).map(\.message.number) == [1])
        #expect(self.drops.dropped(.undecodable) == [configuration.groupsExchange: 4])
        #expect(heard.interruptions.isEmpty)
        await layer.close()
    }

    @Test func jsonTextOfAnyClientArrivesAsAPublication() async throws {
        let configuration = try await self.configuration()
        let layer = self.layer(configuration)
        let heard = FeedRecorder()
        let feed = layer.openFeed(heard)
        try await layer.follow(GroupName("news.sport"), by: feed)
        let exchange = try #require(configuration.publishExchange)
        let bodies = ["{\"goal\": 1}", "no JSON", "[2]"].map { ByteBuffer(string: $0) }
        try RawPublisher.publish(bodies, exchange: exchange, key: "news.sport", configuration)
        try RawPublisher.publish([ByteBuffer(string: "3")], exchange: exchange, key: "news", configuration)
        let texts = await heard.arrivals(2).map { arrival -> String in
            guard arrival.message.type == "carillon.publication", case .json(let text)? = arrival.message["data"] else {
                return "\(arrival.message)"
            }
            return String(buffer: text.bytes)
        }
        #expect(texts == ["{\"goal\": 1}", "[2]"])
        #expect(self.drops.dropped(.undecodable) == ["news.sport": 1])
        await layer.close()
    }

    @Test func withoutAnExchangeForItNothingIsPublishedPlainly() async throws {
        let configuration = try await self.configuration { $0.publishExchange = nil }
        let layer = self.layer(configuration)
        let heard = FeedRecorder()
        let feed = layer.openFeed(heard)
        try await layer.follow(GroupName("room"), by: feed)
        try await layer.send(numbered(1), toGroup: GroupName("room"))
        #expect(await heard.arrivals(1).count == 1)
        await layer.close()
    }

    @Test(arguments: RabbitMQConfiguration.Overflow.allCases)
    func whatDoesNotFitIsCounted(_ overflow: RabbitMQConfiguration.Overflow) async throws {
        let configuration = try await self.configuration {
            $0.localCapacity = 10
            $0.remoteCapacity = 20
            $0.overflow = overflow
        }
        let layer = self.layer(configuration)
        let sender = self.layer(configuration)
        let group = try GroupName("crowded")
        let listener = StuckListener()
        let feed = layer.openFeed(listener)
        try await layer.follow(group, by: feed)
        for number in 0..<100 { try await sender.send(numbered(number), toGroup: group) }
        listener.letGo()
        try await until { listener.count + self.dropCount == 100 }
        #expect(listener.count >= 20, "what the queue holds arrives")
        #expect(self.drops.dropped(.overCapacity) == ["crowded": 100 - listener.count])
        await sender.close()
        await layer.close()
    }

    private var dropCount: Int { self.drops.dropped(.overCapacity).values.reduce(0, +) }

    @Test func aMessageForAProcessThatIsGoneIsCounted() async throws {
        let configuration = try await self.configuration()
        let layer = self.layer(configuration)
        let gone = self.layer(configuration)
        let channel = try await gone.newChannel(prefix: "specific")
        await gone.close()
        try await layer.send(numbered(1), to: channel)
        try await until { self.drops.dropped(.unroutable).values.reduce(0, +) == 1 }
        await layer.close()
    }

    @Test func groupsAreLetGoInTheBroker() async throws {
        let layer = self.layer(try await self.configuration())
        let channel = try await layer.newChannel(prefix: "specific")
        let feed = layer.openFeed(FeedRecorder())
        for number in 0..<50 {
            try await layer.groupAdd(GroupName("g\(number)"), channel)
            try await layer.follow(GroupName("g\(number)"), by: feed)
        }
        #expect(layer.needCount == 51)
        feed.close()
        for number in 0..<50 { try await layer.groupDiscard(GroupName("g\(number)"), channel) }
        #expect(layer.needCount == 1)
        await layer.close()
    }

    /// As `channels_rabbitmq` addresses its peers: the queue's name is what stands before the "!".
    @Test func channelsOfPythonProcessesAreReachedAndReachUs() async throws {
        let configuration = try await self.configuration()
        let layer = self.layer(configuration)
        let theirs = try ChannelName("channels_\(unique("peer"))!yHRSIfNFmAUN")
        let queue = String(try #require(theirs.nonLocalPart).dropLast())
        let body = try RawPublisher.receive(on: queue, configuration) {
            layer.submit(numbered(1), to: theirs, completion: nil)
        }
        #expect(try Arrival(messagePack: try #require(body)) == .channel(theirs, numbered(1)))

        let ours = try await layer.newChannel(prefix: "specific")
        let answer = try numbered(2).encoded(adding: Arrival.channelKey, ours.text)
        let process = String(try #require(ours.nonLocalPart).dropLast())
        try RawPublisher.publish([answer], exchange: "", key: process, configuration)
        #expect(try await layer.receive(from: ours).number == 2)
        await layer.close()
    }

    @Test func foreignChannelsAreRefused() async throws {
        let layer = self.layer(try await self.configuration())
        for name in ["channels_abcdefghijkl!xyz", "normal"] {
            let error = await #expect(throws: LayerError.self) {
                try await layer.groupAdd(GroupName("g"), ChannelName(name))
            }
            #expect(error?.code == .unsupported)
        }
        let error = await #expect(throws: LayerError.self) { _ = try await layer.receive(from: ChannelName("a.b!c")) }
        #expect(error?.code == .unsupported)
        let flush = await #expect(throws: LayerError.self) { try await layer.flush() }
        #expect(flush?.code == .unsupported)
        await layer.close()
    }

    // MARK: Normal channels

    @Test func eachMessageOfANormalChannelHasOneReaderAmongProcesses() async throws {
        let configuration = try await self.configuration()
        let channel = try ChannelName(unique("jobs"))
        let layers = (0..<3).map { _ in self.layer(configuration) }
        let read = try await withThrowingTaskGroup(of: [Int].self) { group in
            for layer in layers {
                group.addTask {
                    var numbers: [Int] = []
                    while let number = try await layer.receive(from: channel).number, number >= 0 {
                        numbers.append(number)
                    }
                    return numbers
                }
            }
            for number in 0..<120 { try await layers[number % 3].sendPatiently(numbered(number), to: channel) }
            for _ in layers { try await layers[0].sendPatiently(numbered(-1), to: channel) }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(read.flatMap(\.self).sorted() == Array(0..<120))
        for numbers in read { #expect(numbers == numbers.sorted(), "in order, as far as one reader sees") }
        for layer in layers { await layer.close() }
    }

    @Test func messagesOfANormalChannelWaitForAProcessThatReads() async throws {
        let configuration = try await self.configuration()
        let channel = try ChannelName(unique("jobs"))
        let sender = self.layer(configuration)
        for number in 0..<5 { try await sender.sendPatiently(numbered(number), to: channel) }
        await sender.close()
        let reader = self.layer(configuration)
        for number in 0..<5 { #expect(try await reader.receive(from: channel).number == number) }
        await reader.close()
    }

    @Test func aReaderThatLeftHoldsNothingBack() async throws {
        let configuration = try await self.configuration()
        let channel = try ChannelName(unique("jobs"))
        let (idle, busy) = (self.layer(configuration), self.layer(configuration))
        let wait = Task { try? await idle.receive(from: channel) }
        try await busy.sendPatiently(numbered(0), to: channel)
        _ = await wait.value
        let cancelled = Task { try? await idle.receive(from: channel) }
        cancelled.cancel()
        _ = await cancelled.value
        for number in 1...5 { try await busy.sendPatiently(numbered(number), to: channel) }
        // One may have met the reader that left and come back, behind others.
        var numbers: Set<Int?> = []
        for _ in 1...5 { numbers.insert(try await busy.receive(from: channel).number) }
        #expect(numbers == Set(1...5))
        await idle.close()
        await busy.close()
    }

    @Test func whatCannotBeReadBecomesADeadLetter() async throws {
        let dead = unique("dead")
        let configuration = try await self.configuration { $0.deadLetterQueue = dead }
        let channel = try ChannelName(unique("jobs"))
        let layer = self.layer(configuration)
        async let first = layer.receive(from: channel).number
        try await layer.sendPatiently(numbered(1), to: channel)
        #expect(try await first == 1)
        async let second = layer.receive(from: channel).number
        try RawPublisher.publish(
            [ByteBuffer(string: "garbage")], exchange: "", key: "carillon.channel.\(channel)", configuration)
        try await layer.sendPatiently(numbered(2), to: channel)
        #expect(try await second == 2)
        #expect(self.drops.dropped(.undecodable) == [channel.text: 1])
        let broker = try await RabbitMQProcess.shared()
        try await until { try await broker.control("list_queues", "name", "messages").contains("\(dead)\t1") }
        await layer.close()
    }

    @Test func aQueueMadeWithOtherSettingsIsUsedAsItIs() async throws {
        let channel = try ChannelName(unique("jobs"))
        let first = self.layer(try await self.configuration { $0.expiry = .seconds(30) })
        let second = self.layer(try await self.configuration { $0.expiry = .seconds(50) })
        try await first.sendPatiently(numbered(1), to: channel)
        try await second.sendPatiently(numbered(2), to: channel)
        for number in 1...2 { #expect(try await second.receive(from: channel).number == number) }
        await first.close()
        await second.close()
    }

    @Test func aFullNormalChannelRefuses() async throws {
        let configuration = try await self.configuration { $0.remoteCapacity = 5 }
        let channel = try ChannelName(unique("jobs"))
        let layer = self.layer(configuration)
        var refusals: [LayerError.Code] = []
        for number in 0..<50 {
            do throws(LayerError) {
                try await layer.send(numbered(number), to: channel)
            } catch {
                refusals.append(error.code)
            }
        }
        #expect(refusals.count >= 30, "a quorum queue counts with a little delay")
        #expect(Set(refusals) == [.channelFull])
        await layer.close()
    }
}

/// Hears nothing more until it is let go.
private final class StuckListener: GroupFeedListener {
    private let heard = Mutex(0)
    private let door = DispatchSemaphore(value: 0)

    var count: Int { self.heard.withLock { $0 } }

    func letGo() { self.door.signal() }

    func arrived(_ message: LayerMessage, in group: GroupName) {
        if self.count == 0 { self.door.wait() }
        self.heard.withLock { $0 += 1 }
    }

    func feedInterrupted(_ reason: LayerError) {}
    func feedRestored() {}
}

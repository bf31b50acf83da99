import ChannelLayer
import NIOCore
import TestSupport
import Testing

@testable import RabbitMQLayer

/// What several processes, and those that come later, know of one log.
@Suite(.timeLimit(.minutes(5)), .serialized) struct HistoryTests {
    private let group = GroupName(unchecked: "news")
    private let options = HistoryOptions(size: 100, timeToLive: .seconds(600))

    private func layer(_ configuration: RabbitMQConfiguration) -> RabbitMQLayer {
        RabbitMQLayer(configuration: configuration, logger: quietLogger)
    }

    @Test func whoComesLaterKnowsWhatWasBefore() async throws {
        let configuration = try testConfiguration(try await RabbitMQProcess.shared())
        let first = self.layer(configuration)
        for number in 1...5 {
            try await first.log.publish(numbered(number), toGroup: self.group, keeping: self.options)
        }
        let page = try await first.log.readHistory(of: self.group, .everything)
        await first.close()
        let second = self.layer(configuration)
        #expect(try await second.log.readHistory(of: self.group, .everything) == page)
        let next = try await second.log.publish(numbered(6), toGroup: self.group, keeping: self.options)
        #expect(next.position == StreamPosition(offset: 6, epoch: page.top.epoch))
        await second.close()
    }

    @Test func whoReadsNoLogHearsEachOnce() async throws {
        let configuration = try testConfiguration(try await RabbitMQProcess.shared())
        let (writer, listener) = (self.layer(configuration), self.layer(configuration))
        let heard = FeedRecorder()
        try await listener.follow(self.group, by: listener.openFeed(heard))
        for number in 1...20 {
            try await writer.log.publish(numbered(number), toGroup: self.group, keeping: self.options)
        }
        let arrivals = await heard.arrivals(20)
        #expect(arrivals.map(\.message.number) == Array(1...20))
        #expect(arrivals.map { $0.message.position?.offset } == Array(1...20))
        // It reads the log from here on, and hears nothing twice.
        _ = try await listener.log.readHistory(of: self.group, .position)
        for number in 21...40 {
            try await writer.log.publish(numbered(number), toGroup: self.group, keeping: self.options)
        }
        #expect(await heard.arrivals(40).map(\.message.number) == Array(1...40))
        try await writer.send(numbered(41), toGroup: self.group)
        #expect(await heard.arrivals(41).count == 41)
        for layer in [writer, listener] { await layer.close() }
    }

    @Test func aRestartedBrokerLosesNoHistory() async throws {
        let broker = try await FaultTests.broker()
        let configuration = try testConfiguration(broker) {
            // What was given up may have been kept.
            $0.timeout = .seconds(30)
            $0.connectTimeout = .seconds(2)
            $0.heartbeat = .seconds(2)
        }
        let layer = self.layer(configuration)
        var last = StreamPosition(offset: 0, epoch: "")
        for number in 1...5 {
            try await until {
                let result = try? await layer.log.publish(numbered(number), toGroup: self.group, keeping: self.options)
                if let result { last = result.position }
                return result != nil
            }
        }
        try await broker.control("stop_app")
        try await broker.control("start_app")
        var next: PublishResult?
        try await until {
            next = try? await layer.log.publish(numbered(6), toGroup: self.group, keeping: self.options)
            return next != nil
        }
        #expect(next?.position.epoch == last.epoch)
        let page = try await layer.log.readHistory(of: self.group, .everything)
        #expect(page.publications.map(\.offset) == Array(1...page.top.offset))
        #expect(page.publications.prefix(5).map(\.message.number) == [1, 2, 3, 4, 5])
        await layer.close()
        let late = self.layer(configuration)
        #expect(try await late.log.readHistory(of: self.group, .everything) == page)
        await late.close()
    }

    @Test func aDeletedLogBeginsANewEpoch() async throws {
        let broker = try await RabbitMQProcess.shared()
        let configuration = try testConfiguration(broker)
        let layer = self.layer(configuration)
        let presence = Presence(client: "c", user: "u", info: ByteBuffer(string: "{}"))
        for number in 1...3 {
            try await layer.log.publish(numbered(number), toGroup: self.group, keeping: self.options)
        }
        let before = try await layer.log.readHistory(of: self.group, .position).top
        try await layer.log.addPresence(presence, in: self.group)
        _ = try await broker.control("delete_queue", configuration.historyLog)
        var after = before
        try await until {
            let result = try? await layer.log.publish(numbered(4), toGroup: self.group, keeping: self.options)
            after = result?.position ?? before
            return after.epoch != before.epoch
        }
        #expect(after.offset >= 1)
        try await until { try await layer.log.readPresence(of: self.group) == [presence] }
        await layer.close()
    }
}

import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

/// Plain groups as channels with a history, over real sockets and two gateways on one layer.
@Suite(.timeLimit(.minutes(1))) struct GroupBridgeTests {
    /// Two gateways, with the same settings.
    private func withTwo(
        _ change: @escaping (inout ClientConfiguration) throws -> Void = { _ in },
        _ body: (LiveGateway, LiveGateway, MemoryLayer) async throws -> Void
    ) async throws {
        let layer = MemoryLayer()
        func configure(_ configuration: inout GatewayConfiguration) throws {
            configuration.session.messageRate = RateLimit(perSecond: 1_000_000, burst: 1_000_000)
            var client = ClientConfiguration()
            client.isInsecure = true
            var kept = ChannelOptions()
            kept.historySize = 1_000
            kept.historyTime = 60
            kept.forceRecovery = true
            kept.dataKey = "n"
            client.namespaces = ChannelNamespaces(
                withoutNamespace: kept, [("kept", kept), ("live", ChannelOptions())])
            try change(&client)
            configuration.client = client
        }
        try await withGateway(configure, layer: layer) { one in
            try await withGateway(configure, layer: layer) { two in try await body(one, two, layer) }
        }
    }

    /// What Django sends with `group_send`.
    private func send(_ number: Int, to group: String, on layer: MemoryLayer) async throws {
        try await layer.send(
            ["type": "news.item", "n": .int(Int64(number))], toGroup: GroupName(unchecked: group))
    }

    /// What is kept of a group, as soon as it is as wanted.
    private func waitForHistory(
        of group: GroupName, on layer: MemoryLayer, until isWanted: (HistoryPage) -> Bool
    ) async throws -> HistoryPage {
        while true {
            let page = try await layer.readHistory(of: group, .everything)
            if isWanted(page) { return page }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func follow(
        _ channel: String, on gateway: LiveGateway, since position: String = ""
    ) async throws -> ClientLines {
        let browser = try await ClientLines.connected(to: gateway)
        try await browser.say(#"{"id":2,"subscribe":{"channel":"\#(channel)"\#(position)}}"#)
        browser.recovered(try await browser.reply(2))
        return browser
    }

    @Test func subscribersOfAllGatewaysHearEachMessageOnce() async throws {
        try await self.withTwo { one, two, layer in
            let browsers = [
                try await self.follow("news", on: one), try await self.follow("news", on: one),
                try await self.follow("news", on: two),
            ]
            // The same contents come again and again.
            let numbers = (0..<200).map { $0 % 3 }
            for number in numbers { try await self.send(number, to: "news", on: layer) }
            for browser in browsers {
                try await browser.hear(numbers.count)
                #expect(browser.heard == numbers.map(Int64.init))
                #expect(browser.offsets == Array(1...Int64(numbers.count)))
            }
            let page = try await layer.readHistory(of: GroupName(unchecked: "news"), .everything)
            #expect(page.publications.count == numbers.count)
        }
    }

    @Test func whoComesBackGetsWhatWasMissed() async throws {
        try await self.withTwo { one, two, layer in
            let browser = try await self.follow("news", on: one)
            let stays = try await self.follow("news", on: two)
            try await self.send(1, to: "news", on: layer)
            try await browser.hear(1)
            try await browser.say(#"{"id":3,"unsubscribe":{"channel":"news"}}"#)
            _ = try await browser.reply(3)
            for number in 2...9 { try await self.send(number, to: "news", on: layer) }
            try await stays.hear(9)
            let epoch = try await layer.readHistory(of: GroupName(unchecked: "news"), .position).top.epoch
            try await browser.say(
                #"{"id":4,"subscribe":{"channel":"news","recover":true,"offset":1,"epoch":"\#(epoch)"}}"#)
            let reply = try await browser.reply(4)
            #expect(reply["subscribe"]?["recovered"]?.bool == true)
            browser.recovered(reply)
            try await self.send(10, to: "news", on: layer)
            try await browser.hear(10)
            #expect(browser.heard == Array(1...10))
        }
    }

    @Test func membersOfThePlainGroupHearTheMessageAlone() async throws {
        try await self.withTwo { one, two, layer in
            let channel = try await layer.newChannel(prefix: "specific")
            let news = GroupName(unchecked: "news")
            try await layer.groupAdd(news, channel)
            let plain = try await two.open("/channels/groups/news")
            let browser = try await self.follow("news", on: one)
            try await layer.send(.publication(.json(JSONText(validating: ByteBuffer(string: "7")))), toGroup: news)
            try await browser.hear(1)
            #expect(browser.heard == [7])
            #expect(try await plain.nextText() == "7")
            #expect(try await layer.receive(from: channel).type == LayerMessage.publicationType)
            // What is published in the channel itself is heard by all of them, as ever.
            try await browser.say(#"{"id":5,"publish":{"channel":"news","data":8}}"#)
            try await browser.hear(2)
            #expect(browser.heard == [7, 8])
            #expect(browser.offsets == [1, 2])
            #expect(try await plain.nextText() == "8")
            #expect(try await layer.receive(from: channel).position?.offset == 2)
        }
    }

    @Test func groupsOfOtherNamesAreHeard() async throws {
        try await self.withTwo {
            let group = try #require(NamePattern("chat-*"))
            for name in ["kept:*", "live:*"] {
                $0.groupLinks.links.append(.init(group: group, channel: try #require(NamePattern(name))))
            }
        } _: { one, two, layer in
            let kept = [try await self.follow("kept:7", on: one), try await self.follow("kept:7", on: two)]
            let live = [try await self.follow("live:7", on: one), try await self.follow("live:7", on: two)]
            for number in 1...20 { try await self.send(number, to: "chat-7", on: layer) }
            for browser in kept {
                try await browser.hear(20)
                #expect(browser.heard == Array(1...20))
                #expect(browser.offsets == Array(1...20))
            }
            // Without a key for it the data is the whole message.
            for browser in live {
                try await browser.hear(20)
                #expect(browser.publications.map { $0["n"]?.integer } == Array(1...20))
            }
            try await self.send(21, to: "chat-8", on: layer)
            try await self.send(22, to: "chat-7", on: layer)
            try await kept[0].hear(21)
            #expect(kept[0].heard.last == 22)
        }
    }

    @Test func whatIsAlwaysKeptNeedsNoSubscriber() async throws {
        try await self.withTwo {
            $0.groupLinks.always = [GroupName(unchecked: "alerts"), GroupName(unchecked: "nothing")]
        } _: { one, two, layer in
            let news = GroupName(unchecked: "alerts")
            // Until one of them hears the group what is sent to it is lost, and nothing of the rest.
            var sent = 0
            while one.metric("carillon_gateway_bridged_total") + two.metric("carillon_gateway_bridged_total") == 0 {
                sent += 1
                try await self.send(sent, to: "alerts", on: layer)
                try await Task.sleep(for: .milliseconds(10))
            }
            // The first one is kept, and others may be on their way.
            let last = try await self.waitForHistory(of: news, on: layer) { $0.publications.last?.number == sent }
            let before = last.top.offset
            for number in 1...5 { try await self.send(1_000 + number, to: "alerts", on: layer) }
            _ = try await self.waitForHistory(of: news, on: layer) { $0.top.offset >= before + 5 }
            let browser = try await self.follow(
                "alerts", on: one, since: #","recover":true,"offset":\#(before),"epoch":"""#)
            #expect(browser.heard == [1_001, 1_002, 1_003, 1_004, 1_005])
        }
    }

    @Test func whenTheLastOneLeavesTheGroupsAreLeft() async throws {
        try await self.withTwo { one, _, layer in
            let browser = try await self.follow("news", on: one)
            try await browser.say(#"{"id":3,"unsubscribe":{"channel":"news"}}"#)
            _ = try await browser.reply(3)
            try await self.send(1, to: "news", on: layer)
            let again = try await self.follow("news", on: one)
            try await self.send(2, to: "news", on: layer)
            try await again.hear(1)
            #expect(again.heard == [2])
            #expect(again.offsets == [1])
        }
    }
}

extension StoredPublication {
    /// What a test has sent.
    fileprivate var number: Int? {
        (try? ClientPublication(self.message, dataKey: nil)).flatMap { Int(String(buffer: $0.data.json)) }
    }
}

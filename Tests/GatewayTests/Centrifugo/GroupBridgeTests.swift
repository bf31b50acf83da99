import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

/// Plain groups as channels with a history, over real sockets and two gateways on one layer.
@Suite(.timeLimit(.minutes(1))) struct GroupBridgeTests {
    private static let path = "/channels/connection/websocket"

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

    private func follow(
        _ channel: String, on gateway: LiveGateway, since position: String = ""
    ) async throws -> ProtocolLines {
        let browser = ProtocolLines(try await gateway.open(Self.path))
        try await browser.say(
            #"{"id":1,"connect":{}}"# + "\n" + #"{"id":2,"subscribe":{"channel":"\#(channel)"\#(position)}}"#)
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
                try await browser.hear(20, \.lines)
                #expect(browser.lines.map { $0["n"]?.integer } == Array(1...20))
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
            // Both have to hear the group before anything is sent to it.
            let news = GroupName(unchecked: "alerts")
            var sent: Int64 = 0
            while one.metric("carillon_gateway_bridged_total") + two.metric("carillon_gateway_bridged_total") == 0 {
                sent += 1
                try await self.send(Int(sent), to: "alerts", on: layer)
                try await Task.sleep(for: .milliseconds(10))
            }
            let before = try await layer.readHistory(of: news, .position).top.offset
            for number in 1...5 { try await self.send(1_000 + number, to: "alerts", on: layer) }
            while try await layer.readHistory(of: news, .position).top.offset < before + 5 {
                try await Task.sleep(for: .milliseconds(10))
            }
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

/// What a browser of the protocol is told, line for line.
private final class ProtocolLines {
    private let browser: LiveBrowser
    private var waiting: [JSONValue] = []
    /// Data of publications that are numbers, recovered and live ones, in their order; and all of it.
    private(set) var heard: [Int64] = []
    private(set) var offsets: [Int64] = []
    private(set) var lines: [JSONValue] = []

    init(_ browser: LiveBrowser) { self.browser = browser }

    func say(_ text: String) async throws { try await self.browser.say(text) }

    private func next() async throws -> JSONValue {
        while self.waiting.isEmpty {
            self.waiting = try await self.browser.nextText().split(separator: "\n")
                .map { try JSONValue(parsing: ByteBuffer(string: String($0))) }
        }
        return self.waiting.removeFirst()
    }

    func reply(_ id: Int64) async throws -> JSONValue {
        while true {
            let line = try await self.next()
            if line["id"]?.integer == id { return line }
            if let publication = line["push"]?["pub"] { self.take(publication) }
        }
    }

    private func take(_ publication: JSONValue) {
        guard let data = publication["data"] else { return }
        self.lines.append(data)
        if let number = data.integer { self.heard.append(number) }
        if let offset = publication["offset"]?.integer { self.offsets.append(offset) }
    }

    func hear(_ count: Int, _ what: KeyPath<ProtocolLines, [JSONValue]> = \.lines) async throws {
        while self[keyPath: what].count < count {
            if let publication = try await self.next()["push"]?["pub"] { self.take(publication) }
        }
    }

    func recovered(_ reply: JSONValue) {
        for publication in reply["subscribe"]?["publications"]?.array ?? [] { self.take(publication) }
    }
}

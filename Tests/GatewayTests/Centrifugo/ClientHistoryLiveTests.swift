import ChannelLayer
import JSON
import NIOCore
import TestSupport
import Testing

@testable import Gateway

/// Channels whose publications and subscribers are kept, over real sockets.
@Suite(.timeLimit(.minutes(1))) struct ClientHistoryLiveTests {
    private static let kept = HistoryOptions(size: 1_000, timeToLive: .seconds(60))

    private func withClients(
        on layer: any ChannelLayer = MemoryLayer(),
        _ change: @escaping (inout ClientConfiguration, inout Gateway.ChannelOptions) -> Void = { _, _ in },
        _ body: (LiveGateway) async throws -> Void
    ) async throws {
        try await withGateway(
            {
                $0.session.messageRate = RateLimit(perSecond: 1_000_000, burst: 1_000_000)
                var client = ClientConfiguration()
                client.isInsecure = true
                var kept = ChannelOptions()
                kept.historySize = 1_000
                kept.historyTime = 60
                kept.forceRecovery = true
                kept.presence = true
                kept.joinLeave = true
                change(&client, &kept)
                client.namespaces = ChannelNamespaces(withoutNamespace: ChannelOptions(), [("kept", kept)])
                $0.client = client
            }, layer: layer
        ) { gateway in
            try await body(gateway)
        }
    }

    private func publish(_ number: Int, to channel: String, on layer: any ChannelLayer) async throws {
        let store = try #require(layer.store)
        let group = try ClientChannel(channel).group
        try await store.publish(.publication(.int(Int64(number))), toGroup: group, keeping: Self.kept)
    }

    @Test func whatIsPublishedHasItsPlaceAndCanBeRead() async throws {
        let layer = MemoryLayer()
        try await self.withClients(on: layer) { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            try await lines.say(
                """
                {"id":2,"subscribe":{"channel":"kept:1"}}
                {"id":3,"publish":{"channel":"kept:1","data":1}}
                {"id":4,"publish":{"channel":"kept:1","data":2}}
                {"id":5,"history":{"channel":"kept:1","limit":-1}}
                {"id":6,"presence":{"channel":"kept:1"}}
                {"id":7,"presence_stats":{"channel":"kept:1"}}
                """)
            let subscribed = try await lines.reply(2)
            #expect(subscribed["subscribe"]?["recoverable"]?.bool == true)
            let history = try await lines.reply(5)["history"]
            #expect(history?["publications"]?.array?.compactMap { $0["data"]?.integer } == [1, 2])
            #expect(history?["offset"]?.integer == 2)
            #expect(history?["epoch"]?.string == subscribed["subscribe"]?["epoch"]?.string)
            #expect(try await lines.reply(6)["presence"]?["presence"]?.object?.count == 1)
            #expect(try await lines.reply(7)["presence_stats"]?["num_clients"]?.integer == 1)
            try await lines.hear(2)
            #expect(lines.heard == [1, 2])
        }
    }

    @Test func whoComesAndGoesIsTold() async throws {
        try await self.withClients({ $1.forcePushJoinLeave = true }) { gateway in
            let one = try await ClientLines.connected(to: gateway)
            let two = try await ClientLines.connected(to: gateway)
            try await self.subscribe(one)
            #expect(try await one.next()["push"]?["join"]?["info"]?["client"]?.string != nil)
            try await self.subscribe(two)
            let joined = try await one.next()["push"]?["join"]?["info"]?["client"]?.string
            #expect(try await two.next()["push"]?["join"]?["info"]?["client"]?.string == joined)
            try await two.say(#"{"id":3,"unsubscribe":{"channel":"kept:1"}}"#)
            #expect(try await one.next()["push"]?["leave"]?["info"]?["client"]?.string == joined)
            // Nobody hears itself go.
            #expect(try await two.next()["id"]?.integer == 3)
            try await two.say(#"{"id":4,"subscribe":{"channel":"kept:1"}}"#)
            #expect(try await one.next()["push"]?["join"] != nil)
            two.browser.close()
            #expect(try await one.next()["push"]?["leave"]?["info"]?["client"]?.string == joined)
            try await one.say(#"{"id":5,"presence_stats":{"channel":"kept:1"}}"#)
            #expect(try await one.reply(5)["presence_stats"]?["num_clients"]?.integer == 1)
        }
    }

    private func subscribe(_ lines: ClientLines) async throws {
        try await lines.say(#"{"id":2,"subscribe":{"channel":"kept:1"}}"#)
        _ = try await lines.reply(2)
    }

    /// While others publish without a break, browsers come back again and again from where they were.
    @Test func nothingIsMissedOrHeardTwiceWhoeverComesBackWhen() async throws {
        let layer = MemoryLayer()
        try await self.withClients(on: layer) { gateway in
            let count = 600
            let publisher = Task {
                for number in 1...count {
                    try await self.publish(number, to: "kept:1", on: layer)
                    if number % 7 == 0 { await Task.yield() }
                }
            }
            for _ in 0..<4 {
                var lines = try await ClientLines.connected(to: gateway)
                var heard: [Int64] = []
                var epoch = ""
                for round in 0... {
                    try await lines.say(
                        #"{"id":2,"subscribe":{"channel":"kept:1","recover":true,"offset":\#(heard.count),"epoch":"\#(epoch)"}}"#
                    )
                    let reply = try await lines.reply(2)
                    let subscribed = try #require(reply["subscribe"])
                    // More than a browser may miss at once: whoever is so late begins anew.
                    guard subscribed["recovered"]?.bool == true else {
                        #expect((subscribed["offset"]?.integer ?? 0) - Int64(heard.count) > 300)
                        break
                    }
                    epoch = subscribed["epoch"]?.string ?? ""
                    lines.recovered(reply)
                    if round == 3 || heard.count + lines.heard.count == count {
                        try await lines.hear(count - heard.count)
                        heard += lines.heard
                        #expect(heard == (1...Int64(count)).map { $0 })
                        break
                    }
                    try await lines.hear(min(lines.heard.count + 20, count - heard.count))
                    heard += lines.heard
                    lines = try await ClientLines.connected(to: gateway)
                }
            }
            try await publisher.value
        }
    }

    /// Between the moment from which a browser hears a channel and the one in which its position is known publications may
    /// come: they are in what it is told of the past, and are not told again.
    @Test func whatComesWhileASubscriptionBeginsIsHeardOnce() async throws {
        let layer = LossyLayer()
        try await self.withClients(on: layer) { gateway in
            for number in 1...2 { try await self.publish(number, to: "kept:1", on: layer) }
            let (store, group) = (try #require(layer.store), try ClientChannel("kept:1").group)
            layer.whenSomebodyComes {
                for number in 3...5 {
                    store.publish(.publication(.int(Int64(number))), toGroup: group, keeping: Self.kept) { _ in }
                }
            }
            let lines = try await ClientLines.connected(to: gateway)
            try await lines.say(#"{"id":2,"subscribe":{"channel":"kept:1","recover":true,"offset":1}}"#)
            let reply = try await lines.reply(2)
            #expect(reply["subscribe"]?["recovered"]?.bool == true)
            lines.recovered(reply)
            try await self.publish(6, to: "kept:1", on: layer)
            try await lines.hear(5)
            #expect(lines.heard == [2, 3, 4, 5, 6])
        }
    }

    @Test func aGapIsClosedBeforeAnybodyNotices() async throws {
        let layer = LossyLayer()
        try await self.withClients(on: layer) { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            try await self.subscribe(lines)
            try await self.publish(1, to: "kept:1", on: layer)
            layer.loseNext(3)
            for number in 2...5 { try await self.publish(number, to: "kept:1", on: layer) }
            try await lines.hear(5)
            #expect(lines.heard == [1, 2, 3, 4, 5])
            #expect(gateway.metric("carillon_gateway_stream_repairs_total") == 1)
        }
    }

    @Test func whatIsLostInSilenceIsFoundInTime() async throws {
        let layer = LossyLayer()
        try await self.withClients(on: layer, { client, _ in client.positionCheckInterval = 2 }) { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            try await self.subscribe(lines)
            layer.loseNext(2)
            for number in 1...2 { try await self.publish(number, to: "kept:1", on: layer) }
            try await gateway.passSeconds(2)
            try await lines.hear(2)
            #expect(lines.heard == [1, 2])
        }
    }

    @Test func aGapThatCannotBeClosedIsTold() async throws {
        let layer = LossyLayer()
        try await self.withClients(on: layer) { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            try await self.subscribe(lines)
            try await self.publish(1, to: "kept:1", on: layer)
            try await lines.hear(1)
            layer.loseNext(2)
            for number in 2...3 { try await self.publish(number, to: "kept:1", on: layer) }
            try await layer.store?.removeHistory(of: ClientChannel("kept:1").group)
            try await self.publish(4, to: "kept:1", on: layer)
            #expect(try await lines.next()["push"]?["unsubscribe"]?["code"]?.integer == 2500)
            try await lines.say(#"{"id":3,"subscribe":{"channel":"kept:1","recover":true,"offset":1}}"#)
            let reply = try await lines.reply(3)["subscribe"]
            #expect(reply?["recovered"] == nil && reply?["offset"]?.integer == 4)
            try await self.publish(5, to: "kept:1", on: layer)
            try await lines.hear(2)
            #expect(lines.heard == [1, 5])
        }
    }

    @Test func aLayerThatIsAwayIsATemporaryError() async throws {
        let layer = BrokenLayer()
        try await self.withClients(on: layer) { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            layer.refuseToFollow()
            try await lines.say(#"{"id":2,"subscribe":{"channel":"kept:1"}}"#)
            let error = try await lines.reply(2)["error"]
            #expect(error?["code"]?.integer == 100 && error?["temporary"]?.bool == true)
            // It keeps nothing either.
            try await lines.say(#"{"id":3,"history":{"channel":"kept:1"}}"#)
            #expect(try await lines.reply(3)["error"]?["code"]?.integer == 108)
        }
    }

    @Test func manyChannelsOfManyBrowsersAreBounded() async throws {
        try await self.withClients({ client, _ in client.channelLimit = 10_000 }) { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            for batch in 0..<50 {
                let commands = (0..<200).map { number in
                    #"{"id":\#(batch * 200 + number + 2),"subscribe":{"channel":"kept:\#(batch * 200 + number)"}}"#
                }
                try await lines.say(commands.joined(separator: "\n"))
                _ = try await lines.reply(Int64(batch * 200 + 201))
            }
            #expect(gateway.server.context.hub.subscriptionCount == 10_000)
            try await lines.say(#"{"id":20000,"subscribe":{"channel":"kept:x"}}"#)
            #expect(try await lines.reply(20_000)["error"]?["code"]?.integer == 106)
        }
    }
}

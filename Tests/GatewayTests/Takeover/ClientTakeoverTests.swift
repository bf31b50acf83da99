import ChannelLayer
import Glibc
import JSON
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import Gateway

/// Browsers that chose their channels move to another gateway.
@Suite(.timeLimit(.minutes(2))) struct ClientTakeoverTests {
    private let folder: TestFolder
    private var path: String { self.folder.file("takeover.sock") }
    private let layer = MemoryLayer()

    init() throws { self.folder = try TestFolder() }

    private static func settings(_ configuration: inout GatewayConfiguration) {
        configuration.takeoverSkew = .milliseconds(300)
        var client = ClientConfiguration()
        client.isInsecure = true
        client.transports = [.webSocket, .unidirectionalEventStream, .eventStream]
        var kept = ChannelOptions()
        kept.historySize = 10_000
        kept.historyTime = 60
        kept.forceRecovery = true
        kept.presence = true
        kept.joinLeave = true
        var patched = ChannelOptions()
        patched.allowedDeltaTypes = [.fossil]
        patched.deltaPublish = true
        patched.allowChannelCompaction = true
        patched.allowTagsFilter = true
        client.namespaces = ChannelNamespaces(
            withoutNamespace: ChannelOptions(), [("kept", kept), ("patched", patched)])
        configuration.client = client
    }

    /// Moves everybody from one gateway to another while `meanwhile` goes on, which ends when it is cancelled.
    private func move(
        settings: (inout GatewayConfiguration) -> Void = Self.settings,
        before: (LiveGateway) async throws -> Void, meanwhile: @escaping @Sendable () async throws -> Void = {},
        after: (LiveGateway) async throws -> Void
    ) async throws {
        try await withGateway(settings, layer: self.layer) { old in
            try await before(old)
            let task = Task { try await meanwhile() }
            let (isDone, done) = AsyncStream.makeStream(of: Void.self)
            try old.server.offerTakeover(at: self.path) { done.finish() }
            try await withGateway(settings, layer: self.layer, takingOver: self.path) { new in
                for await _ in isDone {}
                task.cancel()
                try await task.value
                #expect(old.metric("carillon_gateway_connections") == 0)
                #expect(new.metric("carillon_gateway_takeover_misses_total") == 0)
                try await after(new)
            }
        }
    }

    private func publish(_ number: Int, to channel: String) async throws {
        let group = try ClientChannel(channel).group
        let message = LayerMessage.publication(.int(Int64(number)))
        guard channel.hasPrefix("kept:") else { return try await self.layer.send(message, toGroup: group) }
        try await self.layer.publish(
            message, toGroup: group, keeping: HistoryOptions(size: 10_000, timeToLive: .seconds(60)))
    }

    private func subscribe(_ lines: ClientLines, _ channel: String, _ fields: String = "") async throws -> JSONValue {
        try await lines.say(#"{"id":2,"subscribe":{"channel":"\#(channel)"\#(fields)}}"#)
        return try await lines.reply(2)
    }

    @Test func nobodyMissesOrHearsTwiceWhatIsKeptOrNot() async throws {
        var browsers: [ClientLines] = []
        let count = Count()
        try await self.move { old in
            for number in 0..<12 {
                let lines = try await ClientLines.connected(to: old)
                // Some follow one channel, some both.
                if number % 3 != 0 { _ = try await self.subscribe(lines, "kept:1") }
                if number % 3 != 1 { _ = try await self.subscribe(lines, "plain") }
                browsers.append(lines)
            }
        } meanwhile: {
            while !Task.isCancelled {
                let number = count.next()
                try await self.publish(number, to: "kept:1")
                try await self.publish(1_000_000 + number, to: "plain")
                try? await Task.sleep(for: .milliseconds(1))
            }
        } after: { new in
            let number = count.next()
            try await self.publish(number, to: "kept:1")
            try await self.publish(1_000_000 + number, to: "plain")
            let all = (1...number).map { Int64($0) }
            for (index, lines) in browsers.enumerated() {
                let channels = index % 3 == 2 ? 2 : 1
                try await lines.hear(number * channels)
                #expect(lines.heard.filter { $0 < 1_000_000 } == (index % 3 == 0 ? [] : all))
                #expect(lines.heard.filter { $0 > 1_000_000 }.map { $0 - 1_000_000 } == (index % 3 == 1 ? [] : all))
                #expect(lines.offsets == (index % 3 == 0 ? [] : all))
            }
            #expect(new.metric("carillon_gateway_connections") == 12)
            // What they ask goes on, and what they leave is left.
            let last = try #require(browsers.last)
            try await last.say(#"{"id":5,"presence_stats":{"channel":"kept:1"}}"#)
            try await last.say(#"{"id":6,"unsubscribe":{"channel":"kept:1"}}"#)
            #expect(try await last.reply(5)["presence_stats"]?["num_clients"]?.integer == 8)
            #expect(try await last.reply(6)["error"] == nil)
            let group = try ClientChannel("kept:1").group
            while try await self.layer.readPresenceStats(of: group).clients != 7 {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    @Test func aPositionIsThatOfTheStreamAlsoWhenNothingComesMeanwhile() async throws {
        var browsers: [ClientLines] = []
        for number in 1...5 { try await self.publish(number, to: "kept:1") }
        try await self.move { old in
            for _ in 0..<3 {
                let lines = try await ClientLines.connected(to: old)
                #expect(try await self.subscribe(lines, "kept:1")["subscribe"]?["offset"]?.integer == 5)
                browsers.append(lines)
            }
        } after: { new in
            try await self.publish(6, to: "kept:1")
            // Somebody who comes now reads, and hears, with the others.
            let late = try await ClientLines.connected(to: new)
            let reply = try await self.subscribe(late, "kept:1", #","recover":true,"offset":0,"epoch":"""#)
            late.recovered(reply)
            try await self.publish(7, to: "kept:1")
            for lines in browsers {
                try await lines.hear(2)
                #expect(lines.offsets == [6, 7])
            }
            try await late.hear(7)
            #expect(late.heard == [1, 2, 3, 4, 5, 6, 7])
        }
    }

    @Test func patchesNumbersAndFiltersGoOn() async throws {
        let long = (0..<20).map { #""field \#($0)":"value \#($0)""# }.joined(separator: ",")
        func document(_ number: Int) -> String { #"{"n":\#(number),\#(long)}"# }
        func publish(_ number: Int) async throws {
            let data = LayerValue.json(try JSONText(validating: ByteBuffer(string: document(number))))
            var message = LayerMessage.publication(data)
            let tag = LayerValue.Entry(key: .string("kind"), value: .string(number % 2 == 0 ? "even" : "odd"))
            message.entries.append(.init(key: .string("tags"), value: .map([tag])))
            try await self.layer.send(message, toGroup: try ClientChannel("patched:a").group)
        }
        var patched: ClientLines?
        var even: ClientLines?
        var number: Int64?
        try await self.move { old in
            // Of two channels with numbers, the second.
            let lines = try await ClientLines.connected(to: old)
            _ = try await self.subscribe(lines, "patched:b", #","flag":1"#)
            let reply = try await self.subscribe(lines, "patched:a", #","delta":"fossil","flag":1"#)
            number = reply["subscribe"]?["id"]?.integer
            let filtered = try await ClientLines.connected(to: old)
            _ = try await self.subscribe(filtered, "patched:a", #","tf":{"key":"kind","cmp":"eq","val":"even"}"#)
            for each in [1, 2] { try await publish(each) }
            #expect(try await lines.next()["push"]?["pub"]?["delta"] == nil)
            #expect(try await lines.next()["push"]?["pub"]?["delta"]?.bool == true)
            try await filtered.hear(1)
            (patched, even) = (lines, filtered)
        } after: { _ in
            let (lines, filtered) = (try #require(patched), try #require(even))
            for each in [3, 4] { try await publish(each) }
            let first = try #require(try await lines.next()["push"])
            #expect(first["id"]?.integer == number && number == 2)
            #expect(first["channel"] == nil && first["pub"]?["delta"] == nil)
            #expect(first["pub"]?["data"]?.string == document(3), "whole, since nobody knows what it had")
            let second = try #require(try await lines.next()["push"])
            #expect(second["id"]?.integer == number && second["pub"]?["delta"]?.bool == true)
            try await filtered.hear(2)
            #expect(filtered.publications.compactMap { $0["n"]?.integer } == [2, 4])
        }
    }

    /// A stream of events with what its browser said in the address, up to the answer to it.
    private func stream(_ gateway: LiveGateway, _ kind: String, _ connect: String) async throws -> LiveBrowser {
        let encoded = connect.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let (browser, head) = try await gateway.ask(
            "GET /channels/connection/\(kind)?cf_connect=\(encoded) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 200 "), "\(head)")
        #expect(await browser.raw(2) == [13, 10])
        #expect(try await browser.block()?.contains("connect") == true)
        return browser
    }

    @Test func whoOnlyListensMovesAndWhoSaysItElsewhereOrHasSaidNothingIsSentAway() async throws {
        try await withGateway(Self.settings, layer: self.layer) { old in
            let listener = try await self.stream(old, "uni_sse", #"{"subs":{"plain":{}}}"#)
            let talker = try await self.stream(old, "sse", #"{"id":1,"connect":{}}"#)
            let silent = try await old.open(ClientLines.path)
            let (isDone, done) = AsyncStream.makeStream(of: Void.self)
            try old.server.offerTakeover(at: self.path) { done.finish() }
            try await withGateway(Self.settings, layer: self.layer, takingOver: self.path) { new in
                for await _ in isDone {}
                #expect(new.metric("carillon_gateway_taken_over_total") == 1)
                #expect(old.metric("carillon_gateway_connections") == 2)
                await old.server.drain(within: .zero)
                #expect(try await talker.block()?.contains(#""code":3001"#) == true)
                #expect(try await silent.next() == .close(CloseCode(rawValue: 3001), reason: "shutdown"))
                try await self.publish(1, to: "plain")
                #expect(try await listener.block()?.contains(#""data":1"#) == true)
            }
        }
    }

    @Test func whenTheNewOneDiesTheOldOneGoesOn() async throws {
        let count = Count()
        try await withGateway(Self.settings, layer: self.layer) { old in
            let lines = try await ClientLines.connected(to: old)
            _ = try await self.subscribe(lines, "kept:1")
            let publisher = Task {
                while !Task.isCancelled {
                    try await self.publish(count.next(), to: "kept:1")
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
            try old.server.offerTakeover(at: self.path) {}
            let path = self.path
            try await NIOThreadPool.singleton.runIfActive {
                let link = try #require(try TakeoverLink.connect(to: path))
                try link.send(.hello(version: TakeoverMessage.version))
                while true {
                    let (message, descriptor) = try link.receive()
                    if descriptor >= 0 { close(descriptor) }
                    if message == .groupsEnd { try link.send(.following) }
                    if message == .end { break }
                }
            }
            publisher.cancel()
            try await publisher.value
            let number = count.next()
            try await self.publish(number, to: "kept:1")
            try await lines.hear(number)
            #expect(lines.offsets == (1...number).map { Int64($0) })
        }
    }

    /// Counts from 1 on, for whoever asks.
    private final class Count: Sendable {
        private let last = Mutex(0)
        func next() -> Int {
            self.last.withLock {
                $0 += 1
                return $0
            }
        }
    }
}

import ChannelLayer
import ClientWire
import JSON
import NIOCore
import Testing

@testable import Gateway

/// Patches, filters and numbers instead of names, over real sockets.
@Suite(.timeLimit(.minutes(1))) struct ClientDeltaTests {
    private func withClients(_ body: (LiveGateway) async throws -> Void) async throws {
        try await withGateway {
            var client = ClientConfiguration()
            client.allowsAnonymous = true
            var open = ChannelOptions()
            open.allowSubscribeForClient = true
            open.allowSubscribeForAnonymous = true
            open.allowedDeltaTypes = [.fossil]
            open.allowTagsFilter = true
            open.allowChannelCompaction = true
            var always = open
            always.deltaPublish = true
            var kept = always
            kept.historySize = 100
            kept.historyTime = 60
            kept.forceRecovery = true
            var plain = ChannelOptions()
            plain.allowSubscribeForClient = true
            plain.allowSubscribeForAnonymous = true
            client.namespaces = ChannelNamespaces(
                withoutNamespace: open, [("always", always), ("kept", kept), ("plain", plain)])
            $0.client = client
        } _: { gateway in
            try await body(gateway)
        }
    }

    private func subscribe(
        _ gateway: LiveGateway, _ channel: String, _ fields: String, reply: String? = nil
    ) async throws -> LiveBrowser {
        let browser = try await gateway.open("/channels/connection/websocket")
        try await browser.say(#"{"id":1,"connect":{}}"#)
        _ = try await browser.nextText()
        try await browser.say(#"{"id":2,"subscribe":{"channel":"\#(channel)",\#(fields)}}"#)
        let answer = try await browser.nextText()
        if let reply { #expect(answer == reply) }
        return browser
    }

    private static let long = (0..<20).map { #""field \#($0)":"value \#($0)""# }.joined(separator: ",")
    private static func document(_ number: Int) -> String { #"{"n":\#(number),\#(Self.long)}"# }

    /// What a push says: data, and whether it is a patch.
    private func publication(_ browser: LiveBrowser) async throws -> (data: String, isDelta: Bool) {
        let text = try await browser.nextText()
        let json = try JSONText(validating: ByteBuffer(string: text))
        let publication = try #require(json.field("push")?.field("pub"), "\(text)")
        let data = try #require(publication.field("data")?.stringValue, "\(text)")
        return (data, publication.field("delta") != nil)
    }

    @Test func publicationsAreWholeAndThenPatches() async throws {
        try await self.withClients { gateway in
            let reply = #"{"id":2,"subscribe":{"delta":true}}"#
            let first = try await self.subscribe(gateway, "always:a", #""delta":"fossil""#, reply: reply)
            let whole = try await self.subscribe(gateway, "always:a", #""flag":0"#, reply: #"{"id":2,"subscribe":{}}"#)
            let group = try ClientChannel("always:a").group.text
            try await gateway.publish(Self.document(1), to: group)
            #expect(try await self.publication(first) == (Self.document(1), false))
            // Who comes later has a whole one first, and the same patches from then on.
            let second = try await self.subscribe(gateway, "always:a", #""delta":"fossil""#, reply: reply)
            var before = Self.document(1)
            for number in 2...4 {
                try await gateway.publish(Self.document(number), to: group)
                let patch = try await self.publication(first)
                #expect(patch.isDelta && patch.data.utf8.count < 60)
                let expected = Fossil.patch(from: Array(before.utf8), to: Array(Self.document(number).utf8))
                #expect(Array(patch.data.utf8) == expected)
                let other = try await self.publication(second)
                #expect(number == 2 ? other == (Self.document(2), false) : other == patch)
                before = Self.document(number)
            }
            for number in 1...4 {
                #expect(
                    try await whole.nextText()
                        == #"{"push":{"channel":"always:a","pub":{"data":\#(Self.document(number))}}}"#)
            }
            // What has little in common is whole, and so is what is no text for who speaks JSON.
            try await gateway.publish("1", to: group)
            #expect(try await self.publication(first) == ("1", false))
        }
    }

    @Test func aPatchIsWhatThePublisherOrTheNamespaceWants() async throws {
        try await self.withClients { gateway in
            let browser = try await self.subscribe(
                gateway, "a", #""delta":"fossil""#, reply: #"{"id":2,"subscribe":{"delta":true}}"#)
            for (number, wantsPatch) in [(1, true), (2, false), (3, true)] {
                let data = LayerValue.json(try JSONText(validating: ByteBuffer(string: Self.document(number))))
                var message = LayerMessage.publication(data)
                if wantsPatch { message.entries.append(.init(key: .string("delta"), value: .bool(true))) }
                try await gateway.layer.send(message, toGroup: try GroupName("a"))
                #expect(try await self.publication(browser).isDelta == (number == 3))
            }
            // Where it is not allowed nobody says that it is so.
            _ = try await self.subscribe(gateway, "plain:a", #""delta":"fossil""#, reply: #"{"id":2,"subscribe":{}}"#)
        }
    }

    @Test func nobodyGetsAPatchForWhatItHasNotHad() async throws {
        try await self.withClients { gateway in
            let group = try ClientChannel("always:a").group.text
            let count = 200
            let publisher = Task {
                for number in 0..<count {
                    try await gateway.publish(Self.document(number), to: group)
                    await Task.yield()
                }
                try await gateway.publish(#""end""#, to: group)
            }
            var browsers: [LiveBrowser] = []
            for _ in 0..<8 {
                browsers.append(try await self.subscribe(gateway, "always:a", #""delta":"fossil""#))
            }
            try await publisher.value
            try await gateway.publish(#""end""#, to: group)
            for browser in browsers {
                var last: [UInt8] = []
                while true {
                    let (data, isDelta) = try await self.publication(browser)
                    last = isDelta ? try #require(FossilTests.apply(Array(data.utf8), to: last)) : Array(data.utf8)
                    if last == Array(#""end""#.utf8) { break }
                }
            }
        }
    }

    @Test func inProtobufPatchesAreBytesAndInJSONWhatIsNoJSONIsWhole() async throws {
        try await self.withClients { gateway in
            let group = try ClientChannel("always:a").group
            let json = try await self.subscribe(
                gateway, "always:a", #""delta":"fossil""#, reply: #"{"id":2,"subscribe":{"delta":true}}"#)
            let protobuf = try await ProtobufBrowser.connected(to: gateway)
            var command = WireCommand()
            command.id = 2
            command.subscribe.channel = "always:a"
            command.subscribe.delta = "fossil"
            try await protobuf.say(command)
            #expect(try await protobuf.next().subscribe.delta)
            // The second half of it is no UTF-8.
            let noise = (0..<400).map { UInt8(truncatingIfNeeded: $0 * $0) }
            let said = [
                Array(Self.document(1).utf8), Array(Self.document(2).utf8), noise, [1] + noise,
                Array(Self.document(3).utf8), Array(Self.document(4).utf8),
            ]
            var last: [UInt8] = []
            for (index, bytes) in said.enumerated() {
                try await gateway.layer.send(.publication(.bytes(ByteBuffer(bytes: bytes))), toGroup: group)
                let publication = try await protobuf.next().push.pub
                let isPatch = [1, 3, 5].contains(index)
                #expect(publication.delta == isPatch)
                let data = [UInt8](publication.data)
                last = isPatch ? try #require(FossilTests.apply(data, to: last)) : data
                #expect(last == bytes)
                let (text, isDelta) = try await self.publication(json)
                #expect(isDelta == [1, 5].contains(index))
                switch index {
                case 0, 4: #expect(Array(text.utf8) == bytes)
                case 1, 5: #expect(FossilTests.apply(Array(text.utf8), to: said[index - 1]) == bytes)
                // Base64 in a text, as it is without patches.
                default: #expect(text == String(buffer: ClientData.bytes(ByteBuffer(bytes: bytes)).json))
                }
            }
        }
    }

    @Test func aPatchNeverCutsACharacterOnTheWire() async throws {
        try await self.withClients { gateway in
            let group = try ClientChannel("always:a").group.text
            let browser = try await self.subscribe(gateway, "always:a", #""delta":"fossil""#)
            var last: [UInt8] = []
            let words = ["один", "два", "три", "\u{1F600}", "\u{1F601}", "\u{e9}", "\u{20ac}\u{20ad}"]
            for number in 0..<40 {
                let changed = words[number % words.count]
                let text = #""Сообщение номер \#(changed) из многих, \#(words.joined(separator: " и ")) \#(changed)""#
                try await gateway.publish(text, to: group)
                let (data, isDelta) = try await self.publication(browser)
                last =
                    isDelta
                    ? try #require(
                        FossilTests.apply(Array(data.utf8), to: last) { inserted in
                            #expect(String(validating: inserted, as: UTF8.self) != nil, "a character was cut")
                        }) : Array(data.utf8)
                #expect(last == Array(text.utf8) && isDelta == (number > 0))
            }
        }
    }

    // MARK: Recovery

    private func keep(_ numbers: ClosedRange<Int>, on gateway: LiveGateway) async throws {
        let store = try #require(gateway.layer.store)
        for number in numbers {
            let data = LayerValue.json(try JSONText(validating: ByteBuffer(string: Self.document(number))))
            try await store.publish(
                .publication(data), toGroup: try ClientChannel("kept:a").group,
                keeping: HistoryOptions(size: 100, timeToLive: .seconds(60)))
        }
    }

    @Test func whatWasMissedIsPatchesToo() async throws {
        try await self.withClients { gateway in
            try await self.keep(1...5, on: gateway)
            // The second one is told what was written for the first one, if it is on the same loop.
            for _ in 0..<3 {
                let browser = try await gateway.open("/channels/connection/websocket")
                try await browser.say(#"{"id":1,"connect":{}}"#)
                _ = try await browser.nextText()
                try await browser.say(
                    #"{"id":2,"subscribe":{"channel":"kept:a","delta":"fossil","recover":true,"offset":2}}"#)
                let reply = try JSONValue(parsing: ByteBuffer(string: try await browser.nextText()))["subscribe"]
                #expect(reply?["delta"]?.bool == true && reply?["recovered"]?.bool == true)
                let publications = try #require(reply?["publications"]?.array)
                #expect(publications.map { $0["offset"]?.integer } == [3, 4, 5])
                #expect(publications.map { $0["delta"]?.bool } == [nil, true, true])
                var last: [UInt8] = []
                for (number, each) in zip(3...5, publications) {
                    let data = Array((each["data"]?.string ?? "").utf8)
                    last = number == 3 ? data : try #require(FossilTests.apply(data, to: last))
                    #expect(last == Array(Self.document(number).utf8))
                }
            }
        }
    }

    @Test func afterWhatWasMissedLiveOnesGoOn() async throws {
        try await self.withClients { gateway in
            try await self.keep(1...3, on: gateway)
            let browser = try await ProtobufBrowser.connected(to: gateway)
            var command = WireCommand()
            command.id = 2
            command.subscribe.channel = "kept:a"
            command.subscribe.delta = "fossil"
            command.subscribe.recover = true
            try await browser.say(command)
            var publications = try await browser.next().subscribe.publications
            #expect(publications.map(\.delta) == [false, true, true])
            try await self.keep(4...6, on: gateway)
            for _ in 4...6 { publications.append(try await browser.next().push.pub) }
            #expect(publications.map(\.offset) == [1, 2, 3, 4, 5, 6])
            // A live one is whole, and after that they are patches again.
            #expect(publications.map(\.delta).prefix(4) == [false, true, true, false] && publications[5].delta)
            var last: [UInt8] = []
            for (number, each) in zip(1...6, publications) {
                last = each.delta ? try #require(FossilTests.apply([UInt8](each.data), to: last)) : [UInt8](each.data)
                #expect(last == Array(Self.document(number).utf8))
            }
        }
    }

    // MARK: Filters

    private func publish(_ gateway: LiveGateway, _ data: Int, _ tags: [String: String]) async throws {
        var message = LayerMessage.publication(.int(Int64(data)))
        let entries = tags.map { LayerValue.Entry(key: .string($0), value: .string($1)) }
        message.entries.append(.init(key: .string("tags"), value: .map(entries)))
        try await gateway.layer.send(message, toGroup: try GroupName("a"))
    }

    @Test func aSubscriberHearsWhatItsFilterLetsThrough() async throws {
        try await self.withClients { gateway in
            let english = try await self.subscribe(gateway, "a", #""tf":{"key":"lang","cmp":"eq","val":"en"}"#)
            let dear = try await self.subscribe(gateway, "a", #""tf":{"key":"price","cmp":"gt","val":"9.99"}"#)
            try await self.publish(gateway, 1, ["lang": "de", "price": "10"])
            try await self.publish(gateway, 2, ["lang": "en", "price": "9"])
            try await self.publish(gateway, 3, ["lang": "en", "price": "10"])
            for (browser, numbers) in [(english, [2, 3]), (dear, [1, 3])] {
                for number in numbers { #expect(try await browser.nextText().contains(#""data":\#(number),"#)) }
            }
            _ = try await self.subscribe(
                gateway, "a", #""tf":{"key":"lang","cmp":"like","val":"en"}"#,
                reply: #"{"id":2,"error":{"code":107,"message":"bad request"}}"#)
            _ = try await self.subscribe(
                gateway, "plain:a", #""tf":{"key":"lang","cmp":"ex"}"#,
                reply: #"{"id":2,"error":{"code":107,"message":"bad request"}}"#)
        }
    }

    // MARK: Numbers

    @Test func aNumberStandsForTheNameWithWhoTakesNumbers() async throws {
        try await self.withClients { gateway in
            let numbers = try await self.subscribe(gateway, "a", #""flag":1"#, reply: #"{"id":2,"subscribe":{"id":1}}"#)
            let same = try await self.subscribe(gateway, "a", #""flag":3"#, reply: #"{"id":2,"subscribe":{"id":1}}"#)
            let names = try await self.subscribe(gateway, "a", #""flag":0"#, reply: #"{"id":2,"subscribe":{}}"#)
            try await gateway.publish("7", to: "a")
            for browser in [numbers, same] {
                #expect(try await browser.nextText() == #"{"push":{"id":1,"pub":{"data":7}}}"#)
            }
            #expect(try await names.nextText() == #"{"push":{"channel":"a","pub":{"data":7}}}"#)
            _ = try await self.subscribe(gateway, "b", #""flag":1"#, reply: #"{"id":2,"subscribe":{"id":2}}"#)
            _ = try await self.subscribe(gateway, "plain:a", #""flag":1"#, reply: #"{"id":2,"subscribe":{}}"#)
        }
    }
}

import ChannelLayer
import JSON
import NIOCore
import Synchronization
import Testing

extension LayerClaim {
    static let history: [LayerClaim] = [
        LayerClaim("what is heard, kept and told have one position", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("kept")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await layer.follow(group, by: feed)
            let tags: LayerValue = .map([.init(key: "lang", value: "en")])
            var positions: [StreamPosition] = []
            for number in 1...20 {
                var message = numbered(number)
                message.entries.append(.init(key: "tags", value: tags))
                let result = try await store.publish(message, toGroup: group, keeping: .some(100))
                #expect(!result.isSuppressed)
                positions.append(result.position)
            }
            #expect(positions.map(\.offset) == Array(1...20))
            #expect(Set(positions.map(\.epoch)).count == 1)
            #expect(positions.first?.epoch.isEmpty == false)
            let arrivals = await heard.arrivals(20).map(\.message)
            #expect(arrivals.map(\.position) == positions)
            #expect(arrivals.map(\.number) == Array(1...20))
            #expect(arrivals.allSatisfy { $0["tags"] == tags })
            let page = try await store.readHistory(of: group, .everything)
            #expect(page.publications.map(\.message) == arrivals)
            #expect(page.publications.map(\.offset) == Array(1...20))
            #expect(page.top == positions.last)
            feed.close()
        },
        LayerClaim("each group has a stream of its own, and two are told apart", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let groups = [try GroupName("one"), try GroupName("two")]
            for number in 1...3 {
                for group in groups {
                    let result = try await store.publish(numbered(number), toGroup: group, keeping: .some(2))
                    #expect(result.position.offset == UInt64(number))
                }
            }
        },
        LayerClaim("JSON is kept as what it says", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("json")
            let text = try JSONText(validating: ByteBuffer(string: #"{"a": [1, "é", null]}"#))
            try await store.publish(.publication(.json(text)), toGroup: group, keeping: .some(1))
            let message = try await store.readHistory(of: group, .everything).publications.first?.message
            var data = message?["data"]
            if case .json(let text)? = data { data = LayerValue(try JSONValue(parsing: text.bytes)) }
            #expect(data == .map([.init(key: "a", value: .array([.int(1), "é", .null]))]))
            #expect(message?.type == LayerMessage.publicationType)
        },
        LayerClaim("the newest publications are kept, as many as were asked for", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("bounded")
            for number in 1...12 {
                try await store.publish(numbered(number), toGroup: group, keeping: .some(5))
            }
            let page = try await store.readHistory(of: group, .everything)
            #expect(page.publications.map(\.message.number) == [8, 9, 10, 11, 12])
            #expect(page.publications.map(\.offset) == [8, 9, 10, 11, 12])
            #expect(page.top.offset == 12)
        },
        LayerClaim("a part of the history is read", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("parts")
            for number in 1...9 { try await store.publish(numbered(number), toGroup: group, keeping: .some(6)) }
            let top = try await store.readHistory(of: group, .position).top
            func part(
                _ limit: Int, since offset: UInt64? = nil, epoch: String? = nil, reverse: Bool = false
            ) async throws -> [UInt64] {
                let since = offset.map { StreamPosition(offset: $0, epoch: epoch ?? top.epoch) }
                let query = HistoryQuery(limit: limit, since: since, isReverse: reverse)
                let page = try await store.readHistory(of: group, query)
                #expect(page.top == top)
                #expect(page.publications.map { $0.message.number.map(UInt64.init) } == page.publications.map(\.offset))
                return page.publications.map(\.offset)
            }
            #expect(top.offset == 9)
            #expect(try await part(0) == [])
            #expect(try await part(-1) == [4, 5, 6, 7, 8, 9])
            #expect(try await part(2) == [4, 5])
            #expect(try await part(.max) == [4, 5, 6, 7, 8, 9])
            #expect(try await part(-1, since: 6) == [7, 8, 9])
            #expect(try await part(2, since: 6) == [7, 8])
            #expect(try await part(-1, since: 0) == [4, 5, 6, 7, 8, 9])
            #expect(try await part(-1, since: 3, epoch: "") == [4, 5, 6, 7, 8, 9])
            #expect(try await part(-1, since: 9) == [])
            #expect(try await part(-1, since: .max) == [])
            #expect(try await part(-1, since: 6, epoch: "another") == [])
            #expect(try await part(-1, reverse: true) == [9, 8, 7, 6, 5, 4])
            #expect(try await part(2, reverse: true) == [9, 8])
            #expect(try await part(-1, since: 7, reverse: true) == [6, 5, 4])
            #expect(try await part(2, since: 7, reverse: true) == [6, 5])
            #expect(try await part(-1, since: 4, reverse: true) == [])
            #expect(try await part(-1, since: .max, reverse: true) == [9, 8, 7, 6, 5, 4])
            #expect(try await part(-1, since: 0, reverse: true) == [])
        },
        LayerClaim("a group nobody published to has a position, which holds", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("fresh")
            let first = try await store.readHistory(of: group, .everything)
            #expect(first.publications.isEmpty)
            #expect(first.top.offset == 0)
            #expect(!first.top.epoch.isEmpty)
            #expect(try await store.readHistory(of: group, .position).top == first.top)
            let result = try await store.publish(numbered(1), toGroup: group, keeping: .some(1))
            #expect(result.position == StreamPosition(offset: 1, epoch: first.top.epoch))
        },
        LayerClaim("a removed history leaves its position", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("removed")
            try await store.removeHistory(of: group)
            for number in 1...3 { try await store.publish(numbered(number), toGroup: group, keeping: .some(9)) }
            let before = try await store.readHistory(of: group, .position).top
            try await store.removeHistory(of: group)
            let page = try await store.readHistory(of: group, .everything)
            #expect(page == HistoryPage(publications: [], top: before))
            let next = try await store.publish(numbered(4), toGroup: group, keeping: .some(9))
            #expect(next.position == StreamPosition(offset: 4, epoch: before.epoch))
            let after = try await store.readHistory(of: group, .everything)
            #expect(after.publications.map(\.offset) == [4])
        },
        LayerClaim("a history goes when nothing was published for its time", needs: [.history, .historyExpiry]) {
            layer, broker in
            let store = try #require(layer.store)
            let group = try GroupName("aging")
            for number in 1...3 {
                try await store.publish(numbered(number), toGroup: group, keeping: .some(9, .seconds(3)))
                if number < 3 { try await broker.advance(.milliseconds(1_600)) }
            }
            let full = try await store.readHistory(of: group, .everything)
            #expect(full.publications.map(\.offset) == [1, 2, 3], "each publication begins the time anew")
            try await broker.advance(.milliseconds(4_500))
            let page = try await store.readHistory(of: group, .everything)
            #expect(page == HistoryPage(publications: [], top: full.top))
            let next = try await store.publish(numbered(4), toGroup: group, keeping: .some(9))
            #expect(next.position == StreamPosition(offset: 4, epoch: full.top.epoch))
        },
        LayerClaim("a forgotten position is another epoch", needs: [.history, .historyExpiry]) { layer, broker in
            let store = try #require(layer.store)
            let group = try GroupName("forgotten")
            let options = HistoryOptions(size: 9, timeToLive: .seconds(1), metaTimeToLive: .seconds(2))
            var first = StreamPosition(offset: 0, epoch: "")
            for number in 1...3 {
                first = try await store.publish(numbered(number), toGroup: group, keeping: options).position
            }
            try await broker.advance(.milliseconds(4_000))
            // It is read again, however late.
            let second = try await store.publish(numbered(4), toGroup: group, keeping: .some(9)).position
            #expect(second.offset == 1)
            #expect(second.epoch != first.epoch)
            let page = try await store.readHistory(of: group, .everything)
            #expect(page.publications.map(\.message.number) == [4])
        },
    ]

    static let publishing: [LayerClaim] = [
        LayerClaim("of those with one key the first counts", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            for keeping in [HistoryOptions.some(9), .none] {
                let group = try GroupName("once.\(keeping.size)")
                let before = heard.arrivals.count
                try await layer.follow(group, by: feed)
                var options = keeping
                options.idempotencyKey = "first \u{0}é"
                let first = try await store.publish(numbered(1), toGroup: group, keeping: options)
                let again = try await store.publish(numbered(2), toGroup: group, keeping: options)
                #expect(!first.isSuppressed)
                #expect(again == PublishResult(position: first.position, suppression: .idempotencyKey))
                options.idempotencyKey = "second"
                #expect(try await !store.publish(numbered(3), toGroup: group, keeping: options).isSuppressed)
                let late = options
                options.idempotencyKey = "first \u{0}é"
                #expect(try await store.publish(numbered(4), toGroup: group, keeping: options) == again)
                #expect(try await store.publish(numbered(5), toGroup: group, keeping: late).isSuppressed)
                #expect(await heard.arrivals(before + 2).dropFirst(before).map(\.message.number) == [1, 3])
            }
            feed.close()
        },
        LayerClaim("an audience hears what is kept of another group", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let (group, audience) = (try GroupName("stage"), try GroupName("audience"))
            let (own, others) = (FeedRecorder(), FeedRecorder())
            let feeds = [layer.openFeed(own), layer.openFeed(others)]
            try await layer.follow(group, by: feeds[0])
            try await layer.follow(audience, by: feeds[1])
            var options = HistoryOptions.some(9)
            try await store.publish(numbered(1), toGroup: group, keeping: options)
            options.audience = audience
            try await store.publish(numbered(2), toGroup: group, keeping: options)
            options.audience = nil
            try await store.publish(numbered(3), toGroup: group, keeping: options)
            #expect(await own.arrivals(2).map(\.message.number) == [1, 3])
            let heard = await others.arrivals(1)
            #expect(heard.map(\.message.number) == [2])
            #expect(heard.first?.message.position?.offset == 2)
            #expect(heard.first?.group == audience)
            #expect(
                try await store.readHistory(of: group, .everything).publications.map(\.message.number) == [1, 2, 3])
            #expect(try await store.readHistory(of: audience, .everything).publications.isEmpty)
            for feed in feeds { feed.close() }
        },
        LayerClaim("what several witnesses hear is kept once", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("witnessed")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await layer.follow(group, by: feed)
            var numbers: [String: UInt64] = [:]
            func say(_ key: String, _ number: Int, by name: String) async throws -> PublishResult {
                numbers[name, default: 0] += 1
                var options = HistoryOptions.some(100)
                options.idempotencyKey = key
                options.witness = Witness(name: name, number: numbers[name] ?? 0)
                return try await store.publish(numbered(number), toGroup: group, keeping: options)
            }
            // Each says the same twice, in turn and one after the other.
            let first = try await say("a", 1, by: "one")
            #expect(try await say("a", 1, by: "two") == .init(position: first.position, suppression: .idempotencyKey))
            let second = try await say("a", 2, by: "two")
            #expect(!second.isSuppressed)
            #expect(try await say("a", 2, by: "one") == .init(position: second.position, suppression: .idempotencyKey))
            #expect(try await !say("b", 3, by: "one").isSuppressed)
            #expect(try await !say("b", 4, by: "one").isSuppressed)
            #expect(try await say("b", 3, by: "two").position.offset == 3)
            #expect(try await say("b", 4, by: "two").position.offset == 4)
            // Who comes later joins the others.
            #expect(try await say("b", 3, by: "three").isSuppressed)
            // Who does not know whether it was heard says it again.
            var options = HistoryOptions.some(100)
            options.idempotencyKey = "b"
            options.witness = Witness(name: "one", number: numbers["one"] ?? 0)
            #expect(try await store.publish(numbered(4), toGroup: group, keeping: options).isSuppressed)
            #expect(try await !say("c", 5, by: "three").isSuppressed)
            #expect(await heard.arrivals(5).map(\.message.number) == [1, 2, 3, 4, 5])
            let page = try await store.readHistory(of: group, .everything)
            #expect(page.publications.map(\.message.number) == [1, 2, 3, 4, 5])
            feed.close()
        },
        LayerClaim("what a witness says later is something new", needs: [.history, .historyExpiry]) {
            layer, broker in
            let store = try #require(layer.store)
            let group = try GroupName("later")
            var options = HistoryOptions.some(9)
            options.idempotencyKey = "tick"
            options.idempotencyTimeToLive = .seconds(2)
            for number in 1...3 {
                for name in ["one", "two"] {
                    options.witness = Witness(name: name, number: UInt64(number))
                    let result = try await store.publish(numbered(number), toGroup: group, keeping: options)
                    #expect(result.isSuppressed == (name == "two"))
                    #expect(result.position.offset == UInt64(number))
                }
                try await broker.advance(.milliseconds(4_000))
            }
            // One that was not there before has missed nothing.
            options.witness = Witness(name: "three", number: 1)
            #expect(try await !store.publish(numbered(4), toGroup: group, keeping: options).isSuppressed)
        },
        LayerClaim("a key counts for its group alone, and for its time", needs: [.history, .historyExpiry]) {
            layer, broker in
            let store = try #require(layer.store)
            let group = try GroupName("keys")
            var options = HistoryOptions.some(9)
            options.idempotencyKey = "key"
            options.idempotencyTimeToLive = .seconds(2)
            try await store.publish(numbered(1), toGroup: group, keeping: options)
            let other = try await store.publish(numbered(1), toGroup: try GroupName("other"), keeping: options)
            #expect(!other.isSuppressed)
            try await broker.advance(.milliseconds(4_000))
            let result = try await store.publish(numbered(2), toGroup: group, keeping: options)
            #expect(!result.isSuppressed)
            #expect(result.position.offset == 2)
        },
        LayerClaim("a version must be above the last", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("versions")
            func publish(_ number: Int, _ version: UInt64, _ epoch: String = "") async throws -> PublishResult {
                var options = HistoryOptions.some(9)
                options.version = version
                options.versionEpoch = epoch
                return try await store.publish(numbered(number), toGroup: group, keeping: options)
            }
            #expect(try await !publish(1, 9).isSuppressed)
            let old = try await publish(2, 8)
            #expect(old.suppression == .version)
            #expect(old.position.offset == 1)
            #expect(try await publish(3, 9).isSuppressed)
            #expect(try await !publish(4, 10).isSuppressed)
            #expect(try await !publish(5, 0).isSuppressed, "without a version it always counts")
            #expect(try await publish(6, 10).isSuppressed)
            #expect(try await !publish(7, 3, "restarted").isSuppressed, "another epoch begins anew")
            #expect(try await publish(8, 3, "restarted").isSuppressed)
            #expect(try await publish(9, 2).isSuppressed, "no epoch compares with any")
            #expect(try await !publish(10, .max - 1, "restarted").isSuppressed)
            #expect(try await publish(11, .max - 1, "restarted").isSuppressed)
            #expect(try await !publish(12, .max, "restarted").isSuppressed)
            let page = try await store.readHistory(of: group, .everything)
            #expect(page.publications.map(\.message.number) == [1, 4, 5, 7, 10, 12])
        },
        LayerClaim("what is not kept arrives without a position", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("passing")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await layer.follow(group, by: feed)
            let result = try await store.publish(numbered(1), toGroup: group, keeping: .none)
            #expect(result == PublishResult(position: StreamPosition(offset: 0, epoch: "")))
            #expect(await heard.arrivals(1).map(\.message) == [numbered(1)])
            #expect(try await store.readHistory(of: group, .everything).top.offset == 0)
            feed.close()
        },
        LayerClaim(
            "publications are heard in the order of their offsets, whoever sends",
            needs: [.history, .historyOrder]
        ) {
            layer, broker in
            try await Self.publishFromFourTasks([layer, layer], broker)
        },
        LayerClaim("so they are from two processes", needs: [.history, .historyOrder, .processes]) {
            layer, broker in
            let second = try await broker.connect()
            try await Self.publishFromFourTasks([layer, second], broker)
            await second.close()
        },
        LayerClaim("publications that are not waited for keep the order of the calls", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("submitted")
            let offsets = Mutex<[UInt64]>([])
            for number in 1...200 {
                store.publish(numbered(number), toGroup: group, keeping: .some(500)) { result in
                    guard case .success(let result) = result else { return }
                    offsets.withLock { $0.append(result.position.offset) }
                }
            }
            let last = try await store.publish(numbered(201), toGroup: group, keeping: .some(500))
            #expect(last.position.offset == 201)
            #expect(offsets.withLock { $0 } == Array(1...200))
            let page = try await store.readHistory(of: group, .everything)
            #expect(page.publications.map(\.message.number) == Array(1...201))
        },
        LayerClaim(
            "what one sender sends and publishes to a group stays in order", needs: [.history, .historyInOneStep]
        ) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("mixed")
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await layer.follow(group, by: feed)
            for number in 0..<50 {
                if number.isMultiple(of: 2) {
                    layer.submit(numbered(number), toGroup: group, completion: nil)
                } else {
                    store.publish(numbered(number), toGroup: group, keeping: .some(9)) { _ in }
                }
            }
            #expect(await heard.arrivals(50).map(\.message.number) == Array(0..<50))
            feed.close()
        },
        LayerClaim("channels in the group hear a kept publication too", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("members")
            let channel = try await layer.newChannel(prefix: "specific")
            try await layer.groupAdd(group, channel)
            let result = try await store.publish(numbered(1), toGroup: group, keeping: .some(9))
            let message = try await layer.receive(from: channel)
            #expect(message.number == 1)
            #expect(message.position == result.position)
        },
        LayerClaim("what cannot be carried is not published", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("refused")
            for key in LayerMessage.reservedKeys {
                let error = await layerError { () throws(LayerError) in
                    try await store.publish([key: "x"], toGroup: group, keeping: .some(9))
                }
                #expect(error?.code == .invalidMessage)
            }
            #expect(try await store.readHistory(of: group, .everything).top.offset == 0)
        },
        LayerClaim("flushing forgets histories", needs: [.history, .historyFlush]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("flushed")
            let before = try await store.publish(numbered(1), toGroup: group, keeping: .some(9)).position
            try await layer.flush()
            let page = try await store.readHistory(of: group, .everything)
            #expect(page.publications.isEmpty)
            #expect(page.top.offset == 0)
            #expect(page.top.epoch != before.epoch)
        },
        LayerClaim("a closed layer keeps nothing more", needs: [.history]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("closed")
            await layer.close()
            let errors = [
                await layerError { () throws(LayerError) in
                    try await store.publish(numbered(1), toGroup: group, keeping: .some(9))
                },
                await layerError { () throws(LayerError) in
                    _ = try await store.readHistory(of: group, .everything)
                },
                await layerError { () throws(LayerError) in try await store.removeHistory(of: group) },
            ]
            #expect(errors.map { $0?.code } == [.closed, .closed, .closed])
        },
    ]

    private static func publishFromFourTasks(
        _ layers: [any ChannelLayer], _ broker: ContractBroker
    ) async throws {
        let group = try GroupName("raced")
        let recorders = layers.map { _ in FeedRecorder() }
        let feeds = zip(layers, recorders).map { $0.openFeed($1) }
        for (layer, feed) in zip(layers, feeds) { try await layer.follow(group, by: feed) }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for sender in 0..<4 {
                let store = try #require(layers[sender % layers.count].store)
                tasks.addTask {
                    for number in 0..<50 {
                        try await store.publish(numbered(number, from: sender), toGroup: group, keeping: .some(500))
                    }
                }
            }
            try await tasks.waitForAll()
        }
        for recorder in recorders {
            let arrivals = await recorder.arrivals(200)
            #expect(arrivals.map { $0.message.position?.offset } == Array(1...200))
            for sender in 0..<4 {
                let numbers = arrivals.filter { $0.message.sender == sender }.map(\.message.number)
                #expect(numbers == Array(0..<50))
            }
        }
        for feed in feeds { feed.close() }
    }
}

extension HistoryOptions {
    /// The newest `size`, for as long as a claim may take.
    static func some(_ size: Int, _ timeToLive: Duration = .seconds(600)) -> HistoryOptions {
        HistoryOptions(size: size, timeToLive: timeToLive)
    }

    static let none = HistoryOptions(size: 0, timeToLive: .zero)
}

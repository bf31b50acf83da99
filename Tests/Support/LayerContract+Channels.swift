import ChannelLayer
import JSON
import NIOCore
import Synchronization
import Testing

extension LayerClaim {
    static let channels: [LayerClaim] = [
        LayerClaim("a message arrives as it was sent") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            let message: LayerMessage = [
                "type": "contract.values", "null": .null, "true": .bool(true), "int": .int(.min), "uint": .uint(.max),
                "double": .double(-2.5), "text": "é😀\u{0}", "bytes": .bytes(ByteBuffer(bytes: [0, 255])),
                "array": .array([.int(1), .array([]), .map([])]), "": .map([.init(key: "k", value: .bool(false))]),
            ]
            try await layer.send(message, to: channel)
            #expect(try await layer.receive(from: channel) == message)
        },
        LayerClaim("JSON text arrives as what it says") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            let text = try JSONText(validating: ByteBuffer(string: #"{"a": [1, -2.5, "\u00e9", null, true]}"#))
            try await layer.send(["type": "contract.json", "data": .json(text)], to: channel)
            var data = try await layer.receive(from: channel)["data"]
            if case .json(let text)? = data { data = LayerValue(try JSONValue(parsing: text.bytes)) }
            let elements: LayerValue = .array([.int(1), .double(-2.5), "é", .null, .bool(true)])
            #expect(data == .map([.init(key: "a", value: elements)]))
        },
        LayerClaim("a message of a million bytes is carried") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            let message: LayerMessage = ["type": "large", "text": .string(String(repeating: "x", count: 1_000_000))]
            try await layer.send(message, to: channel)
            #expect(try await layer.receive(from: channel) == message)
        },
        LayerClaim("one sender's messages arrive in order", configure: { $0.capacity = 1_000 }) { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            for number in 0..<300 { try await layer.send(numbered(number), to: channel) }
            #expect(try await layer.receiveNumbers(300, from: channel) == Array(0..<300))
        },
        LayerClaim("submitted messages keep the order of the calls", configure: { $0.capacity = 1_000 }) { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            let outcomes = Mutex<[String]>([])
            for number in 0..<300 {
                layer.submit(numbered(number), to: channel) { error in
                    outcomes.withLock { $0.append(error?.description ?? "ok") }
                }
            }
            #expect(try await layer.receiveNumbers(300, from: channel) == Array(0..<300))
            // The outcome of the last one is told at the latest when a later operation was answered.
            try await layer.send(numbered(300), to: channel)
            #expect(outcomes.withLock { $0 } == Array(repeating: "ok", count: 300), "each outcome is told once")
        },
        LayerClaim("a reader who waits gets what is sent then") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            async let first = layer.receive(from: channel).number
            async let second = layer.receive(from: channel).number
            for number in 1...2 { try await layer.send(numbered(number), to: channel) }
            #expect(try await Set([first, second]) == [1, 2])
        },
        LayerClaim("each message has one reader", configure: { $0.capacity = 1_000 }) { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            let numbers = try await withThrowingTaskGroup(of: [Int?].self) { group in
                for _ in 0..<4 { group.addTask { try await layer.receiveNumbers(50, from: channel) } }
                for number in 0..<200 { try await layer.send(numbered(number), to: channel) }
                return try await group.reduce(into: []) { $0 += $1.compactMap(\.self) }
            }
            #expect(numbers.sorted() == Array(0..<200))
        },
        LayerClaim("a channel without ! carries messages", needs: [.normalChannels]) { layer, _ in
            let channel = try ChannelName("contract-worker.1")
            for number in 0..<3 { try await layer.send(numbered(number), to: channel) }
            #expect(try await layer.receiveNumbers(3, from: channel) == [0, 1, 2])
        },
        LayerClaim("channels of one process are apart") { layer, _ in
            let first = try await layer.newChannel(prefix: "specific")
            let second = try await layer.newChannel(prefix: "specific")
            try await layer.send(numbered(1), to: first)
            try await layer.send(numbered(2), to: second)
            #expect(try await layer.receive(from: second).number == 2)
            #expect(try await layer.receive(from: first).number == 1)
        },
        LayerClaim("new channels are fresh, of one process, and named by the rule") { layer, _ in
            var names: Set<ChannelName> = []
            for _ in 0..<100 { names.insert(try await layer.newChannel(prefix: "contract")) }
            #expect(names.count == 100)
            #expect(Set(names.map(\.nonLocalPart)).count == 1)
            for name in names {
                #expect(name.text.hasPrefix("contract."))
                #expect(name.nonLocalPart != nil)
                _ = try ChannelName(name.text)
            }
        },
        LayerClaim("a prefix that makes no name is refused") { layer, _ in
            #expect(
                await layerError { () throws(LayerError) in _ = try await layer.newChannel(prefix: "a b") }?.code
                    == .invalidName)
        },
        LayerClaim("a cancelled wait ends, and loses nothing") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            let wait = Task { await layerError { () throws(LayerError) in _ = try await layer.receive(from: channel) } }
            wait.cancel()
            #expect(await wait.value?.code == .cancelled)
            try await layer.send(numbered(1), to: channel)
            #expect(try await layer.receive(from: channel).number == 1)
        },
        LayerClaim("a message that meets a cancellation is read or kept") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            var read = 0
            for number in 0..<100 {
                let wait = Task { try? await layer.receive(from: channel).number }
                async let sent: Void = layer.send(numbered(number), to: channel)
                if number.isMultiple(of: 2) { await Task.yield() }
                wait.cancel()
                try await sent
                let found =
                    if let found = await wait.value { found } else { try await layer.receive(from: channel).number }
                #expect(found == number)
                read += 1
            }
            #expect(read == 100)
        },
        LayerClaim("a reserved key is refused") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            for key in LayerMessage.reservedKeys {
                var message = numbered(1)
                message.entries.append(.init(key: .string(key), value: "x"))
                let error = await layerError { [message] () throws(LayerError) in
                    try await layer.send(message, to: channel)
                }
                #expect(error?.code == .invalidMessage)
            }
        },
        LayerClaim("closing ends every wait, and whatever comes later") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            let other = try await layer.newChannel(prefix: "specific")
            let waits = [channel, channel, other].map { channel in
                Task { await layerError { () throws(LayerError) in _ = try await layer.receive(from: channel) } }
            }
            await Task.yield()
            await layer.close()
            await layer.close()
            for wait in waits { #expect(await wait.value?.code == .closed) }
            #expect(
                await layerError { () throws(LayerError) in _ = try await layer.receive(from: channel) }?.code
                    == .closed)
            #expect(
                await layerError { () throws(LayerError) in try await layer.send(numbered(1), to: channel) }?.code
                    == .closed)
            let group = try GroupName("closed")
            #expect(
                await layerError { () throws(LayerError) in try await layer.send(numbered(1), toGroup: group) }?.code
                    == .closed)
        },
    ]

    static let limits: [LayerClaim] = [
        LayerClaim("a full channel refuses at once", needs: [.capacity], configure: { $0.capacity = 3 }) { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            for number in 0..<3 { try await layer.send(numbered(number), to: channel) }
            #expect(
                await layerError { () throws(LayerError) in try await layer.send(numbered(3), to: channel) }?.code
                    == .channelFull)
            #expect(try await layer.receive(from: channel).number == 0)
            try await layer.send(numbered(4), to: channel)
            #expect(try await layer.receiveNumbers(3, from: channel) == [1, 2, 4])
        },
        LayerClaim(
            "the first pattern that matches sets the capacity", needs: [.capacity, .normalChannels],
            configure: {
                $0.channelCapacity = [(CapacityPattern("small.*"), 1), (CapacityPattern("*"), 2)]
            }
        ) { layer, _ in
            for (name, capacity) in [("small.one", 1), ("other", 2)] {
                let channel = try ChannelName(name)
                for number in 0..<capacity { try await layer.send(numbered(number), to: channel) }
                let error = await layerError { () throws(LayerError) in try await layer.send(numbered(9), to: channel) }
                #expect(error?.code == .channelFull)
            }
        },
        LayerClaim(
            "an unread message goes after its time, and is counted", needs: [.expiry],
            configure: { $0.expiry = .seconds(5) }
        ) { layer, broker in
            let channel = try await layer.newChannel(prefix: "specific")
            try await layer.send(numbered(1), to: channel)
            try await broker.advance(.seconds(3))
            try await layer.send(numbered(2), to: channel)
            try await broker.advance(.seconds(3))
            #expect(try await layer.receive(from: channel).number == 2)
            #expect(broker.drops.dropped(.expired).values.reduce(0, +) == 1)
        },
    ]
}

import ChannelLayer
import Testing

extension LayerClaim {
    static let groups: [LayerClaim] = [
        LayerClaim("every member of a group gets a message once") { layer, _ in
            let group = try GroupName("everybody")
            var members: [ChannelName] = []
            for _ in 0..<3 { members.append(try await layer.newChannel(prefix: "specific")) }
            for member in members { try await layer.groupAdd(group, member) }
            try await layer.groupAdd(group, members[0])
            for number in 0..<20 { try await layer.send(numbered(number), toGroup: group) }
            for member in members { #expect(try await layer.receiveNumbers(20, from: member) == Array(0..<20)) }
            try await layer.send(numbered(99), to: members[0])
            #expect(try await layer.receive(from: members[0]).number == 99, "added twice, served once")
        },
        LayerClaim("who left a group hears no more of it") { layer, _ in
            let group = try GroupName("left")
            let stays = try await layer.newChannel(prefix: "specific")
            let leaves = try await layer.newChannel(prefix: "specific")
            for member in [stays, leaves] { try await layer.groupAdd(group, member) }
            try await layer.groupDiscard(group, leaves)
            try await layer.groupDiscard(group, leaves)
            try await layer.send(numbered(1), toGroup: group)
            try await layer.send(numbered(2), to: leaves)
            #expect(try await layer.receive(from: leaves).number == 2)
            #expect(try await layer.receive(from: stays).number == 1)
        },
        LayerClaim("a group that nobody is in takes messages") { layer, _ in
            let group = try GroupName("nobody")
            try await layer.send(numbered(1), toGroup: group)
            try await layer.groupDiscard(group, try await layer.newChannel(prefix: "specific"))
        },
        LayerClaim("groups are apart") { layer, _ in
            let channel = try await layer.newChannel(prefix: "specific")
            try await layer.groupAdd(try GroupName("one"), channel)
            try await layer.send(numbered(1), toGroup: try GroupName("two"))
            try await layer.send(numbered(2), toGroup: try GroupName("one"))
            #expect(try await layer.receive(from: channel).number == 2)
        },
        LayerClaim(
            "a group's message passes over a full channel, which is counted", needs: [.capacity],
            configure: { $0.capacity = 2 }
        ) { layer, broker in
            let group = try GroupName("crowded")
            let full = try await layer.newChannel(prefix: "specific")
            try await layer.groupAdd(group, full)
            for number in 0..<5 { try await layer.send(numbered(number), toGroup: group) }
            #expect(try await layer.receiveNumbers(2, from: full) == [0, 1])
            #expect(broker.drops.dropped(.overCapacity).values.reduce(0, +) == 3)
        },
        LayerClaim("a reserved key is refused by groups as well") { layer, _ in
            let group = try GroupName("reserved")
            let message: LayerMessage = ["type": "x", "__asgi_group__": "y"]
            let error = await layerError { () throws(LayerError) in try await layer.send(message, toGroup: group) }
            #expect(error?.code == .invalidMessage)
        },
        LayerClaim(
            "a membership ends after its time, unless it was added again", needs: [.groupExpiry],
            configure: { $0.groupExpiry = .seconds(5) }
        ) { layer, broker in
            let group = try GroupName("expiring")
            let renewed = try await layer.newChannel(prefix: "specific")
            let forgotten = try await layer.newChannel(prefix: "specific")
            for member in [renewed, forgotten] { try await layer.groupAdd(group, member) }
            try await broker.advance(.seconds(3))
            try await layer.groupAdd(group, renewed)
            try await broker.advance(.seconds(3))
            try await layer.send(numbered(1), toGroup: group)
            try await layer.send(numbered(2), to: forgotten)
            #expect(try await layer.receive(from: renewed).number == 1)
            #expect(try await layer.receive(from: forgotten).number == 2)
        },
        LayerClaim("a flush forgets messages and memberships", needs: [.flush]) { layer, _ in
            let group = try GroupName("flushed")
            let channel = try await layer.newChannel(prefix: "specific")
            try await layer.groupAdd(group, channel)
            try await layer.send(numbered(1), to: channel)
            try await layer.flush()
            try await layer.send(numbered(2), toGroup: group)
            try await layer.send(numbered(3), to: channel)
            #expect(try await layer.receive(from: channel).number == 3)
        },
    ]
}

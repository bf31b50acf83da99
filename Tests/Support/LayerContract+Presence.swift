import ChannelLayer
import NIOCore
import Testing

extension LayerClaim {
    static let presence: [LayerClaim] = [
        LayerClaim("who is in a group is told, and counted", needs: [.presence]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("present")
            #expect(try await store.readPresence(of: group) == [])
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 0, users: 0))
            let all = [("c1", "ann"), ("c2", "bob"), ("c3", "ann"), ("c4", "")].map { present($0, $1) }
            for one in all { try await store.addPresence(one, in: group) }
            #expect(try await store.listed(group) == all)
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 4, users: 3))
            #expect(try await store.readPresence(of: try GroupName("elsewhere")) == [])
        },
        LayerClaim("who leaves a group is gone, and not counted", needs: [.presence]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("leaving")
            for (client, user) in [("c1", "ann"), ("c2", "bob"), ("c3", "ann")] {
                try await store.addPresence(present(client, user), in: group)
            }
            try await store.removePresence(of: "c1", in: group)
            #expect(try await store.listed(group) == [present("c2", "bob"), present("c3", "ann")])
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 2, users: 2))
            try await store.removePresence(of: "c3", in: group)
            try await store.removePresence(of: "c3", in: group)
            try await store.removePresence(of: "never", in: group)
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 1, users: 1))
            try await store.removePresence(of: "c2", in: group)
            #expect(try await store.readPresence(of: group) == [])
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 0, users: 0))
        },
        LayerClaim("who is said anew is there once, as said last", needs: [.presence]) { layer, _ in
            let store = try #require(layer.store)
            let group = try GroupName("renewed")
            try await store.addPresence(present("c1", "ann"), in: group)
            try await store.addPresence(present("c1", "ann", "\u{0}later"), in: group)
            #expect(try await store.listed(group) == [present("c1", "ann", "\u{0}later")])
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 1, users: 1))
            try await store.addPresence(present("c1", "bob"), in: group)
            #expect(try await store.listed(group) == [present("c1", "bob")])
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 1, users: 1))
        },
        LayerClaim("presence is seen from other processes", needs: [.presence, .processes]) { layer, broker in
            let store = try #require(layer.store)
            let other = try await broker.connect()
            let otherStore = try #require(other.store)
            let group = try GroupName("shared")
            try await store.addPresence(present("c1", "ann"), in: group)
            try await otherStore.addPresence(present("c2", "ann"), in: group)
            for store in [store, otherStore] {
                #expect(await eventually { try await store.listed(group).map(\.client) == ["c1", "c2"] })
                #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 2, users: 1))
            }
            try await otherStore.removePresence(of: "c2", in: group)
            for store in [store, otherStore] {
                #expect(await eventually { try await store.listed(group).map(\.client) == ["c1"] })
                #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 1, users: 1))
            }
            await other.close()
        },
        LayerClaim(
            "who moves to another process is there once, until that one says otherwise", needs: [.presence, .processes]
        ) {
            layer, broker in
            let store = try #require(layer.store)
            let other = try await broker.connect()
            let otherStore = try #require(other.store)
            let group = try GroupName("moving")
            for client in ["c1", "c2"] { try await store.addPresence(present(client, "ann"), in: group) }
            for client in ["c1", "c2"] { try await otherStore.addPresence(present(client, "ann"), in: group) }
            store.handOverPresence(of: "c1", in: group)
            store.handOverPresence(of: "c2", in: group)
            #expect(await eventually { try await store.listed(group).map(\.client) == ["c1", "c2"] })
            try await otherStore.removePresence(of: "c1", in: group)
            for store in [store, otherStore] {
                #expect(await eventually { try await store.listed(group).map(\.client) == ["c2"] })
                #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 1, users: 1))
            }
            await other.close()
        },
        LayerClaim(
            "presence ends some time after its process, and no other does",
            needs: [.presence, .processes, .presenceExpiry], configure: { $0.presenceExpiry = .seconds(3) }
        ) { layer, broker in
            let store = try #require(layer.store)
            let other = try await broker.connect()
            let otherStore = try #require(other.store)
            let group = try GroupName("mortal")
            try await store.addPresence(present("c1", "ann"), in: group)
            try await otherStore.addPresence(present("c2", "bob"), in: group)
            #expect(await eventually { try await store.listed(group).count == 2 })
            await other.close()
            #expect(await eventually { try await store.listed(group).count == 1 })
            try await broker.advance(.seconds(4))
            #expect(try await store.listed(group) == [present("c1", "ann")], "it is renewed")
            #expect(try await store.readPresenceStats(of: group) == PresenceStats(clients: 1, users: 1))
        },
    ]
}

private func present(_ client: String, _ user: String, _ info: String = "{}") -> Presence {
    Presence(client: client, user: user, info: ByteBuffer(string: info))
}

extension GroupStore {
    /// Who is in the group, by name.
    fileprivate func listed(_ group: GroupName) async throws -> [Presence] {
        try await self.readPresence(of: group).sorted { $0.client < $1.client }
    }
}

/// Whether `condition` comes true. What other processes said may take its time; the suite's limit ends the wait.
private func eventually(_ condition: () async throws -> Bool) async -> Bool {
    while !Task.isCancelled {
        if (try? await condition()) == true { return true }
        try? await Task.sleep(for: .milliseconds(20))
    }
    return false
}

import ChannelLayer
import NIOCore

extension RedisLayerCore {
    /// Deletes every key that begins with the prefix. Unlike `KEYS`, which the Python layer uses, `SCAN` does not hold up
    /// other clients, however many keys there are.
    func flush() async throws(LayerError) {
        do throws(RedisError) {
            for shard in self.shards { try await self.deleteAll(on: shard.commands) }
        } catch {
            throw error.layerError
        }
        await withCheckedContinuation { continuation in
            self.eventLoop.execute { self.forgetAll { continuation.resume() } }
        }
    }

    private func deleteAll(on client: RedisClient) async throws(RedisError) {
        let pattern = Self.escaped(self.keys.prefix) + "*"
        var cursor = "0"
        repeat {
            var scan = RedisCommand("SCAN")
            scan.append(cursor)
            scan.append("MATCH" as StaticString)
            scan.append(pattern)
            scan.append("COUNT" as StaticString)
            scan.append(1_000)
            let reply = try await client.send(scan).array ?? []
            guard reply.count == 2, let next = reply[0].text, let keys = reply[1].array else {
                throw RedisError(.notRedis, "Redis answered something else than wanted to SCAN")
            }
            cursor = next
            if !keys.isEmpty {
                var delete = RedisCommand("DEL")
                for key in keys { if let key = key.bulk { delete.append(key) } }
                _ = try await client.send(delete)
            }
        } while cursor != "0"
    }

    /// The prefix as a pattern that matches nothing but itself.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            if "*?[]^\\".contains(character) { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }

    /// Messages and memberships are gone; feeds go on following.
    private func forgetAll(_ completion: @escaping @Sendable () -> Void) {
        self.inbox.forget()
        self.memberships = [:]
        let answers = self.shards.map { shard in
            let promise = self.eventLoop.makePromise(of: Void.self)
            self.restoreMemberships(on: shard, generation: shard.generation)
            // Answered after those.
            shard.commands.send(RedisCommand("PING")) { _ in promise.succeed() }
            return promise.futureResult
        }
        EventLoopFuture.andAllComplete(answers, on: self.eventLoop).whenComplete { _ in completion() }
    }
}

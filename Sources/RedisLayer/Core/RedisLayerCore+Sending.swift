import ChannelLayer
import NIOCore

extension RedisLayerCore {
    /// Messages to one group that go out with one command, and their bytes.
    private static let runLength = 128
    private static let runBytes = 512 << 10

    /// Sends all that waits. What goes to one group in a row goes together.
    func sendWaiting() {
        self.queue.take(into: &self.batch)
        var start = 0
        while start < self.batch.count {
            switch self.batch[start].target {
            case .channel(let channel):
                self.send(self.batch[start], to: channel)
                start += 1
            case .publication(let group):
                let outgoing = self.batch[start]
                if let publication = outgoing.publication { self.publish(outgoing, publication, to: group) }
                start += 1
            case .group(let group):
                let end = self.endOfRun(from: start)
                self.send(Array(self.batch[start..<end]), to: group)
                start = end
            }
        }
        self.batch.removeAll(keepingCapacity: self.batch.capacity <= 65_536)
    }

    private func endOfRun(from start: Int) -> Int {
        var end = start
        var bytes = 0
        while end < self.batch.count, end - start < Self.runLength, self.batch[end].target == self.batch[start].target {
            bytes += self.batch[end].bytes.readableBytes
            if end > start, bytes > Self.runBytes { break }
            end += 1
        }
        return end
    }

    /// Messages older than this are removed by whoever sends to the mailbox.
    var expiredScore: Int64 { Int64(self.now()) - self.configuration.expirySeconds }

    var expiredMembershipScore: Int64 { Int64(self.now()) - self.configuration.groupExpirySeconds }

    // MARK: To a channel

    private func send(_ outgoing: RedisOutgoing, to channel: ChannelName) {
        let mailbox = channel.mailbox
        // Python's readers wait where the mailbox belongs; for a normal channel all hosts are used in turn.
        let shard = channel.nonLocalPart == nil ? self.nextShard() : self.shard(of: mailbox)
        let entry = Deposit(mailbox: mailbox, capacity: self.configuration.limits.capacity(of: channel))
        let command = self.deposit([entry], [[outgoing.bytes]], [outgoing.score])
        shard.commands.send(command) { result in
            switch result {
            case .failure(let error): self.finish([outgoing], error.layerError)
            case .success(let reply): self.finish([outgoing], self.outcome(reply, for: channel))
            }
        }
    }

    private func nextShard() -> RedisShard {
        defer { self.turn = (self.turn + 1) % self.shards.count }
        return self.shards[self.turn]
    }

    private func outcome(_ reply: RedisReply, for channel: ChannelName) -> LayerError? {
        let counts = DepositCounts(reply)
        if counts.expired > 0 { self.observer?.dropped(.expired, name: channel.text, count: counts.expired) }
        if counts.foreign > 0 {
            return LayerError(
                .refused, "the key \(self.keys.messages(in: channel.mailbox)) holds something else; delete it")
        }
        guard counts.full > 0 else { return nil }
        return LayerError(.channelFull, "\(channel) holds as many messages as it may; it is not read fast enough")
    }

    // MARK: To a group

    func send(_ run: [RedisOutgoing], to group: GroupName) {
        if self.configuration.allowsOneStep {
            self.sendInOneStep(run, to: group)
        } else {
            self.sendInTwoSteps(run, to: group)
        }
    }

    /// Redis finds the members and stores the messages.
    private func sendInOneStep(_ run: [RedisOutgoing], to group: GroupName) {
        let size = run.reduce(256) { $0 + $1.bytes.readableBytes + 48 }
        var command = RedisCommand(running: RedisLayerScripts.sendToGroup, keys: 1, reserving: size)
        command.append(self.keys.members(of: group))
        command.append(self.keys.prefix)
        command.append(self.expiredMembershipScore)
        command.append(self.expiredScore)
        command.append(self.configuration.expirySeconds)
        command.append(self.configuration.limits.capacity)
        command.append(self.configuration.serializer.rawValue)
        command.append(RedisLayerConfiguration.gatewayMark)
        command.append(self.configuration.gatewayCapacity)
        for outgoing in run {
            command.append(outgoing.score)
            command.append(outgoing.bytes)
        }
        self.shard(of: group).commands.send(command) { result in
            switch result {
            case .failure(let error): self.finish(run, error.layerError)
            case .success(let reply):
                self.count(DepositCounts(reply), in: group, of: run.count)
                self.finish(run, nil)
            }
        }
    }

    /// Asks for the members, and then sends each mailbox its own form to the host it is on. Answers come in the order of
    /// the questions, so the messages of one group stay in order.
    private func sendInTwoSteps(_ run: [RedisOutgoing], to group: GroupName) {
        let client = self.shard(of: group).commands
        let key = self.keys.members(of: group)
        var trim = RedisCommand("ZREMRANGEBYSCORE")
        trim.append(key)
        trim.append(0)
        trim.append(self.expiredMembershipScore)
        client.send(trim) { _ in }
        var members = RedisCommand("ZRANGE")
        members.append(key)
        members.append(0)
        members.append(-1)
        client.send(members) { result in
            switch result {
            case .failure(let error): self.finish(run, error.layerError)
            case .success(let reply): self.distribute(run, to: reply.array ?? [], of: group)
            }
        }
    }

    private func distribute(_ run: [RedisOutgoing], to members: [RedisReply], of group: GroupName) {
        var mailboxes: [Deposit] = []
        var places: [String: Int] = [:]
        for member in members {
            guard let text = member.text, let channel = try? ChannelName(text) else { continue }
            let mailbox = channel.mailbox
            if let place = places[mailbox] {
                mailboxes[place].receivers.append(channel)
            } else {
                places[mailbox] = mailboxes.count
                // Of several members in one process the first one's capacity counts, as in the Python layer.
                let capacity = self.configuration.capacity(ofMember: channel)
                mailboxes.append(Deposit(mailbox: mailbox, capacity: capacity, receivers: [channel]))
            }
        }
        let byShard = Dictionary(grouping: mailboxes) { self.shard(of: $0.mailbox).index }
        let answers = byShard.map { self.deposit(run, in: $1, on: self.shards[$0], of: group) }
        EventLoopFuture.andAllSucceed(answers, on: self.eventLoop).whenComplete { result in
            if case .failure(let error) = result {
                self.finish(run, (error as? LayerError) ?? LayerError(.unavailable, "\(error)"))
            } else {
                self.finish(run, nil)
            }
        }
    }

    private func deposit(
        _ run: [RedisOutgoing], in mailboxes: [Deposit], on shard: RedisShard, of group: GroupName
    ) -> EventLoopFuture<Void> {
        let promise = self.eventLoop.makePromise(of: Void.self)
        do throws(LayerError) {
            var bytes: [[ByteBuffer]] = []
            for mailbox in mailboxes {
                var column: [ByteBuffer] = []
                for outgoing in run {
                    column.append(
                        try self.codec.complete(outgoing.bytes, for: mailbox.receivers, at: outgoing.score))
                }
                bytes.append(column)
            }
            shard.commands.send(self.deposit(mailboxes, bytes, run.map(\.score))) { result in
                switch result {
                case .failure(let error): promise.fail(error.layerError)
                case .success(let reply):
                    self.count(DepositCounts(reply), in: group, of: run.count)
                    promise.succeed()
                }
            }
        } catch {
            promise.fail(error)
        }
        return promise.futureResult
    }

    // MARK: What both have in common

    /// A mailbox that gets messages.
    private struct Deposit {
        let mailbox: String
        let capacity: Int
        var receivers: [ChannelName] = []
    }

    /// - Parameter bytes: for each mailbox what it gets, in the order of `scores`.
    private func deposit(_ mailboxes: [Deposit], _ bytes: [[ByteBuffer]], _ scores: [Double]) -> RedisCommand {
        let size = bytes.reduce(128) { $0 + $1.reduce(128) { $0 + $1.readableBytes + 48 } }
        var command = RedisCommand(running: RedisLayerScripts.deposit, keys: mailboxes.count, reserving: size)
        for mailbox in mailboxes { command.append(self.keys.messages(in: mailbox.mailbox)) }
        command.append(self.expiredScore)
        command.append(self.configuration.expirySeconds)
        command.append(scores.count)
        for (mailbox, column) in zip(mailboxes, bytes) {
            command.append(mailbox.capacity)
            for (score, message) in zip(scores, column) {
                command.append(score)
                command.append(message)
            }
        }
        return command
    }

    /// What the scripts answer.
    struct DepositCounts {
        let full: Int
        let expired: Int
        let foreign: Int

        init(_ reply: RedisReply) {
            let counts = (reply.array ?? []).map { Int(clamping: $0.integer ?? 0) }
            self.full = counts.first ?? 0
            self.expired = counts.count > 1 ? counts[1] : 0
            self.foreign = counts.count > 2 ? counts[2] : 0
        }
    }

    func count(_ counts: DepositCounts, in group: GroupName, of messages: Int) {
        if counts.full > 0 { self.observer?.dropped(.overCapacity, name: group.text, count: counts.full) }
        if counts.expired > 0 { self.observer?.dropped(.expired, name: group.text, count: counts.expired) }
        if counts.foreign > 0 {
            self.observer?.dropped(.invalid, name: group.text, count: counts.foreign * messages)
        }
    }

    /// Tells who waits how it ended; counts the messages for which nobody does.
    private func finish(_ run: [RedisOutgoing], _ error: LayerError?) {
        var uncounted = 0
        for outgoing in run {
            if let completion = outgoing.completion { completion(error) } else { uncounted += 1 }
        }
        if let error, uncounted > 0, let first = run.first {
            self.observer?.dropped(error.drop, name: first.target.name, count: uncounted)
        }
    }
}

import ChannelLayer
import NIOCore

extension RedisLayerCore {
    // MARK: Readers

    func receive(from channel: ChannelName, _ reader: RedisReader, _ continuation: RedisReader.Continuation) {
        guard reader.begin(continuation) else { return }
        guard !self.isClosed else { return reader.resume(.failure(RedisLayer.closed)) }
        guard channel.nonLocalPart.map({ self.isOwn($0) }) ?? true else {
            let error = LayerError(.invalidName, "\(channel) was not made by this layer, so another process reads it")
            return reader.resume(.failure(error))
        }
        let (message, expired) = self.inbox.take(from: channel.text, at: self.now())
        if expired > 0 { self.observer?.dropped(.expired, name: channel.text, count: expired) }
        if let message { return reader.resume(.success(message)) }
        self.inbox.wait(reader, for: channel.text)
        self.wantMore()
    }

    func cancel(_ reader: RedisReader, _ channel: ChannelName) {
        self.inbox.leave(reader, channel.text)
        reader.resume(.failure(LayerError(.cancelled, "the waiting task was cancelled")))
    }

    /// The broker was lost while they waited.
    func failReaders(_ error: RedisError) {
        for reader in self.inbox.takeReaders() { reader.resume(.failure(error.layerError)) }
    }

    /// From which mailboxes somebody wants messages now.
    var wantedMailboxes: [String] {
        let isGateway = !self.followings.isEmpty || !self.inboxes.isEmpty
        var mailboxes: [String] = isGateway ? [self.gatewayMailbox] : []
        for channel in self.inbox.wanted {
            let mailbox = ChannelName(unchecked: channel).mailbox
            if !mailboxes.contains(mailbox) { mailboxes.append(mailbox) }
        }
        return mailboxes
    }

    func wantMore() {
        for shard in self.shards { shard.mail.look() }
    }

    // MARK: Inboxes

    func open(_ inbox: RedisInboxChannel) {
        guard !self.isClosed else { return }
        self.inboxes[inbox.channel.text] = inbox
        self.wantMore()
    }

    func closeInbox(_ inbox: RedisInboxChannel) { self.inboxes[inbox.channel.text] = nil }

    // MARK: Messages

    /// A message was taken out of Redis.
    ///
    /// - Parameter score: when its sender sent it, seconds since 1970.
    func arrived(_ stored: ByteBuffer, score: Double, in mailbox: String, of shard: Int) {
        let now = self.now()
        let life = Double(self.configuration.expirySeconds)
        guard now - score <= life + self.configuration.tolerance else {
            self.observer?.dropped(.expired, name: mailbox, count: 1)
            return
        }
        let oldest = UInt64(max(0, now - life - 10))
        do throws(RedisMessageCodec.Fault) {
            let arrival = try self.codec.decode(stored, madeIn: oldest...UInt64(max(0, now) + 60))
            // As long as it would have lived in Redis; for a sender whose clock is ahead, not longer than that.
            let expires = min(score, now) + life
            if self.isOwn(mailbox) {
                self.deliver(arrival, mailbox, expires)
            } else if self.inbox.isWanted(mailbox) {
                self.deposit(arrival.message, mailbox, expires)
            } else {
                self.putBack(stored, score: score, in: mailbox, of: shard)
            }
        } catch {
            self.observer?.dropped(error.reason, name: mailbox, count: 1)
            self.logger.debug(
                "A message cannot be read", metadata: ["mailbox": "\(mailbox)", "fault": "\(error.description)"])
        }
    }

    private func deliver(_ arrival: RedisMessageCodec.Arrival, _ mailbox: String, _ expires: Double) {
        if arrival.receivers.isEmpty { self.observer?.dropped(.undecodable, name: mailbox, count: 1) }
        for receiver in arrival.receivers {
            if let following = self.followings.following(of: receiver) {
                for feed in following.feeds { feed.deliver(arrival.message, in: following.group) }
            } else if let inbox = self.inboxes[receiver] {
                inbox.deliver(arrival.message)
            } else if mailbox != self.gatewayMailbox, receiver.hasPrefix(mailbox) {
                self.deposit(arrival.message, receiver, expires)
            }
            // Else it is for a group that is followed no more, or for nobody here.
        }
    }

    private func deposit(_ message: LayerMessage, _ channel: String, _ expires: Double) {
        let capacity = self.configuration.limits.capacity(of: ChannelName(unchecked: channel))
        switch self.inbox.deposit(message, in: channel, expires: expires, capacity: capacity) {
        case .taken(let reader): reader.resume(.success(message))
        case .stored: break
        case .pushedOut, .refused: self.observer?.dropped(.overCapacity, name: channel, count: 1)
        }
    }

    /// Whoever wanted it was cancelled meanwhile: the message of a normal channel is for the next reader, in any process.
    private func putBack(_ stored: ByteBuffer, score: Double, in mailbox: String, of shard: Int) {
        let client = self.shards[shard].commands
        let key = self.keys.messages(in: mailbox)
        var add = RedisCommand("ZADD", reserving: stored.readableBytes + 128)
        add.append(key)
        add.append(score)
        add.append(stored)
        client.send(add) { result in
            if case .failure(let error) = result {
                self.observer?.dropped(error.layerError.drop, name: mailbox, count: 1)
            }
        }
        var expire = RedisCommand("EXPIRE")
        expire.append(key)
        expire.append(self.configuration.expirySeconds)
        client.send(expire) { _ in }
    }

    /// Something that is no mailbox stands under the name of one. Ours is cleared; a normal channel may be somebody's, so
    /// its readers are told.
    func clearMailboxes(on shard: Int, _ error: RedisError) {
        let wanted = self.wantedMailboxes
        let own = wanted.filter { self.isOwn($0) } + [self.wakeMailbox]
        var command = RedisCommand(running: RedisLayerScripts.clear, keys: own.count)
        for mailbox in own { command.append(self.keys.messages(in: mailbox)) }
        self.logger.warning(
            "A key of the layer holds something else", metadata: ["host": "\(shard)", "mailboxes": "\(wanted)"])
        self.shards[shard].commands.send(command) { _ in }
        let readers = self.inbox.takeReaders { !$0.contains("!") }
        for reader in readers { reader.resume(.failure(error.layerError)) }
    }
}

import ChannelLayer
import NIOCore

/// One of the hosts: a connection for commands, and one that waits for messages.
///
/// `@unchecked Sendable`: whatever varies is touched on the layer's event loop only.
final class RedisShard: @unchecked Sendable {
    let index: Int
    let commands: RedisClient
    let mail: RedisMailReader
    private unowned let core: RedisLayerCore
    /// Whether all memberships of this process are known there.
    var isJoined = false
    /// Which connection the memberships were made for last.
    var generation = 0
    /// Which following is looked for next.
    var watched = 0

    init(_ index: Int, _ endpoint: RedisEndpoint, _ core: RedisLayerCore) {
        self.index = index
        self.core = core
        self.commands = RedisClient(
            endpoint, options: core.options, eventLoop: core.eventLoop, logger: core.logger, connects: false
        ) { [weak core] event in core?.commandConnection(of: index, event) }
        self.mail = RedisMailReader(endpoint, core, shard: index)
    }

    /// Starts connecting; when the core knows this shard, whom the first event is about.
    func start() { self.commands.connect() }

    func close() async {
        await self.mail.close()
        await self.commands.close()
    }

    // MARK: Commands

    /// Makes the channels members, or renews that. At most some hundred at once.
    func join(
        _ memberships: some Collection<RedisMembership>,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        var command = RedisCommand(
            running: RedisLayerScripts.join, keys: memberships.count, reserving: memberships.count * 160 + 64)
        for membership in memberships { command.append(self.core.keys.members(of: membership.group)) }
        command.append(self.core.now())
        command.append(self.core.configuration.groupExpirySeconds)
        for membership in memberships { command.append(membership.channel.text) }
        self.commands.send(command, completion: completion)
    }

    /// Ends a membership.
    func leave(
        _ membership: RedisMembership,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void = { _ in }
    ) {
        var command = RedisCommand("ZREM")
        command.append(self.core.keys.members(of: membership.group))
        command.append(membership.channel.text)
        self.commands.send(command, completion: completion)
    }

    /// Ends memberships and deletes mailboxes, for good.
    func remove(_ memberships: [RedisMembership], mailboxes: some Collection<String>) -> EventLoopFuture<Void> {
        for membership in memberships { self.leave(membership) }
        var command = RedisCommand("DEL")
        for mailbox in mailboxes { command.append(self.core.keys.messages(in: mailbox)) }
        let promise = self.core.eventLoop.makePromise(of: Void.self)
        self.commands.send(command) { _ in promise.succeed() }
        return promise.futureResult
    }
}

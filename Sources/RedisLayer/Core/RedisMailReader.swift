import ChannelLayer
import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Takes messages out of one host's mailboxes, as long as somebody in this process wants some.
///
///     1  BZPOPMIN mailbox… wake 5       waits for the first message, at most five seconds
///     2  ZPOPMIN mailbox 256            and whatever else came, in the same write as the next 1
///
/// So an idle reader hears of a message at once, and a busy one fetches hundreds with one round trip. What Redis handed out
/// when the connection broke is lost: at most once is the contract, and the gap is told.
///
/// `@unchecked Sendable`: touched on the layer's event loop only.
final class RedisMailReader: @unchecked Sendable {
    /// Messages fetched at once.
    private static let batch = 256
    private static let wait: Int64 = 5
    /// How long an answer may take beyond the wait.
    private static let grace: Int64 = 3
    /// After an answer that is an error.
    private static let pause = TimeAmount.milliseconds(100)

    private let endpoint: RedisEndpoint
    private unowned let core: RedisLayerCore
    private let shard: Int
    private var client: RedisClient?
    /// The mailboxes of the command under way.
    private var asked: Set<String>?
    /// The mailbox that had a message, and may have more.
    private var busy: String?
    /// A wake is on its way.
    private var isWaking = false
    private var isPausing = false
    private var isClosed = false
    /// Whether the connection is there, or none is needed.
    private var isConnected = true
    /// Redis does not give out what is asked for: it became a replica, or a mailbox is something else.
    private var isRefused = false
    /// Whether nothing is missed.
    var isReading: Bool { self.isConnected && !self.isRefused }
    private var rotation = 0

    init(_ endpoint: RedisEndpoint, _ core: RedisLayerCore, shard: Int) {
        self.endpoint = endpoint
        self.core = core
        self.shard = shard
    }

    /// Somebody wants messages who did not before.
    func look() {
        guard !self.isClosed, !self.isPausing else { return }
        let wanted = self.core.wantedMailboxes
        // Who asks for nothing misses nothing.
        guard !wanted.isEmpty else { return self.served() }
        guard let asked = self.asked else { return self.ask(wanted) }
        if !asked.isSuperset(of: wanted) { self.wake() }
    }

    func close() async {
        let client = try? await self.core.eventLoop.submit {
            self.isClosed = true
            return self.client
        }.get()
        await client?.close()
    }

    // MARK: Asking

    private func ask(_ mailboxes: [String]) {
        let client = self.connection()
        if let busy = self.busy, mailboxes.contains(busy) { self.fetch(from: busy, client) }
        self.busy = nil
        self.asked = Set(mailboxes)
        // Served in the order of the arguments: each mailbox is first in turn.
        self.rotation = (self.rotation + 1) % mailboxes.count
        var command = RedisCommand("BZPOPMIN")
        for mailbox in mailboxes[self.rotation...] + mailboxes[..<self.rotation] {
            command.append(self.core.keys.messages(in: mailbox))
        }
        command.append(self.core.keys.messages(in: self.core.wakeMailbox))
        command.append(Self.wait)
        client.send(command, timeLimit: .seconds(Self.wait + Self.grace)) { self.answered($0) }
    }

    private func fetch(from mailbox: String, _ client: RedisClient) {
        var command = RedisCommand("ZPOPMIN")
        command.append(self.core.keys.messages(in: mailbox))
        command.append(Self.batch)
        client.send(command) { result in
            guard case .success(let reply) = result, let elements = reply.array else { return }
            self.served()
            var place = 0
            while place + 1 < elements.count {
                self.hand(over: elements[place], elements[place + 1], mailbox)
                place += 2
            }
        }
    }

    private func connection() -> RedisClient {
        if let client = self.client { return client }
        self.isConnected = false
        let shard = self.shard
        let client = RedisClient(
            self.endpoint, options: self.core.options, eventLoop: self.core.eventLoop, logger: self.core.logger
        ) { [weak core] event in core?.mailConnection(of: shard, event) }
        self.client = client
        return client
    }

    /// Makes the command under way end, so that the next one names all mailboxes. If this fails, it ends by itself.
    private func wake() {
        guard !self.isWaking else { return }
        self.isWaking = true
        let client = self.core.shards[self.shard].commands
        let key = self.core.keys.messages(in: self.core.wakeMailbox)
        var push = RedisCommand("ZADD")
        push.append(key)
        push.append(0)
        push.append("wake" as StaticString)
        client.send(push) { result in if case .failure = result { self.isWaking = false } }
        var expire = RedisCommand("EXPIRE")
        expire.append(key)
        expire.append(60)
        client.send(expire) { _ in }
    }

    // MARK: Answers

    private func answered(_ result: Result<RedisReply, RedisError>) {
        self.asked = nil
        // The next command names all mailboxes, whatever became of the wake.
        self.isWaking = false
        switch result {
        case .failure(let error):
            self.failed(error)
        case .success(let reply):
            self.served()
            if let elements = reply.array, elements.count == 3, let key = elements[0].text {
                self.popped(String(key.dropFirst(self.core.keys.prefix.count)), elements)
            }
            self.look()
        }
    }

    private func popped(_ mailbox: String, _ elements: [RedisReply]) {
        guard mailbox != self.core.wakeMailbox else { return }
        // Others read normal channels as well: no more is taken of them than is wanted.
        if self.core.isOwn(mailbox) { self.busy = mailbox }
        self.hand(over: elements[1], elements[2], mailbox)
    }

    private func hand(over message: RedisReply, _ score: RedisReply, _ mailbox: String) {
        guard let bytes = message.bulk, let score = score.bulk.flatMap({ Double(String(buffer: $0)) }) else { return }
        self.core.arrived(bytes, score: score, in: mailbox, of: self.shard)
    }

    private func failed(_ error: RedisError) {
        guard !self.isClosed, error.code != .closed else { return }
        if error.code == .server, error.message.contains("WRONGTYPE") {
            self.core.clearMailboxes(on: self.shard, error)
        } else {
            self.core.failReaders(error)
        }
        if error.layerError.code == .refused {
            self.isRefused = true
            self.core.interrupt(error.layerError)
            self.probe()
        }
        self.isPausing = true
        self.core.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
            self.isPausing = false
            self.look()
        }
    }

    /// Begins with a fetch, which is answered at once, unlike a wait for messages: so the end of the gap is known.
    private func probe() { self.busy = self.core.gatewayMailbox }

    private func served() {
        guard self.isRefused else { return }
        self.isRefused = false
        self.core.endInterruption()
    }

    // MARK: The connection

    func connected() {
        self.isConnected = true
        self.isWaking = false
        // A Redis that became a replica closes the connection, and refuses the next one as well.
        if self.isRefused { self.probe() }
        self.look()
    }

    func disconnected() { self.isConnected = false }
}

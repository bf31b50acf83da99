import NIOCore

/// Who a connection belongs to. Everything is called on the connection's loop.
protocol RedisConnectionOwner: AnyObject {
    /// The connection is over; called once, after all that waited was failed.
    func closed(_ connection: RedisConnection, _ error: RedisError)
    /// All that one read brought was handed out.
    func finishedReading(_ connection: RedisConnection)
    /// The server does not know the script of a command that was not answered therefore.
    func missesScript(_ connection: RedisConnection, _ request: RedisRequest)
    /// A message of a subscription. The buffers are only lent.
    func received(channel: ByteBuffer, payload: ByteBuffer)
    /// Any other push: a subscription confirmed, a `pong`, an error.
    func received(push: RedisReply)
}

extension RedisConnectionOwner {
    func finishedReading(_ connection: RedisConnection) {}
    func received(channel: ByteBuffer, payload: ByteBuffer) {}
    func received(push: RedisReply) {}

    func missesScript(_ connection: RedisConnection, _ request: RedisRequest) {
        request.answer.tell(.failure(RedisError(.noScript, "Redis does not know the script")))
    }
}

/// One connection to one server: commands in, answers out, in order. Lives on its channel's event loop.
///
/// A late answer, bytes that are no answer, and an error of the channel close it. All commands that wait then fail: each
/// may have been carried out, or not.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Whom errors name.
    private let place: String
    /// The server must be a master: when it no longer is, the connection ends, and the master is looked for.
    private let needsMaster: Bool
    private let decoder: RedisReplyDecoder
    private var pending = RedisPendingReplies()
    private var context: ChannelHandlerContext?
    private var outgoing = ByteBuffer()
    private var hasAlarm = false
    private var closing: RedisError?
    private var receivesPushes = false
    weak var owner: (any RedisConnectionOwner)?
    /// When bytes came last.
    private(set) var lastRead = NIODeadline.now()
    /// Commands and bytes answered since the owner last took note.
    private(set) var answered = (commands: 0, bytes: 0)

    init(place: String, needsMaster: Bool = false) throws(RedisError) {
        self.place = place
        self.needsMaster = needsMaster
        self.decoder = try RedisReplyDecoder()
    }

    var isOpen: Bool { self.closing == nil }
    var waiting: Int { self.pending.count }

    /// What was answered since the last call.
    func takeAnswered() -> (commands: Int, bytes: Int) {
        defer { self.answered = (0, 0) }
        return self.answered
    }

    /// From now on nothing is answered, everything is a push (`SUBSCRIBE`).
    func startSubscribing() {
        self.receivesPushes = true
        self.decoder.expectMessages()
    }

    // MARK: Sending

    /// Adds a command to what the next `flush` sends.
    func send(_ command: RedisCommand, _ request: RedisRequest, now: NIODeadline) {
        self.expect(request, now: now)
        self.write(command)
    }

    /// The answer to what the next `write` adds, or to the next of what it adds.
    func expect(_ request: RedisRequest, now: NIODeadline) {
        guard self.closing == nil else { return self.finish(request, .failure(self.lostError)) }
        self.pending.append(request, now: now)
    }

    /// Whole commands, joined; not copied.
    func write(_ commands: ByteBuffer?) {
        guard self.closing == nil, let commands, commands.readableBytes > 0 else { return }
        self.pass()
        self.context?.write(self.wrapOutboundOut(commands), promise: nil)
    }

    /// As `send`, for what answers with pushes or not at all.
    func write(_ command: RedisCommand) {
        guard self.closing == nil else { return }
        if command.isLarge {
            // The head joins what is before, and the body goes as it is.
            command.writeHead(into: &self.outgoing)
            self.write(command.body)
        } else {
            command.write(into: &self.outgoing)
        }
    }

    /// A single command, sent at once.
    func send(
        _ command: RedisCommand, timeLimit: TimeAmount,
        completion: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        guard let loop = self.context?.eventLoop else { return completion(.failure(self.lostError)) }
        let completion = NIOLoopBound(completion, eventLoop: loop)
        let request = RedisRequest(
            answer: .reply { completion.value($0) }, timeLimit: timeLimit, size: 0, command: nil)
        self.send(command, request, now: .now())
        self.flush()
    }

    /// Sends what was added, in one write.
    func flush() {
        self.pass()
        self.context?.flush()
        self.setAlarm()
    }

    private func pass() {
        guard self.outgoing.readableBytes > 0, let context = self.context else { return }
        context.write(self.wrapOutboundOut(self.outgoing), promise: nil)
        // The old storage is the channel's until it is written.
        self.outgoing = context.channel.allocator.buffer(capacity: min(self.outgoing.readableBytes, 65_536))
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        self.flush()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard self.closing == nil else { return }
        let now = NIODeadline.now()
        self.lastRead = now
        // Asked once: a weak reference costs something.
        let owner = self.owner
        do throws(RedisError) {
            try self.unwrapInboundIn(data).readableBytesView.withUnsafeBytesTyped { bytes throws(RedisError) in
                try self.decoder.decode(bytes) { self.take($0, owner, now: now) }
            }
        } catch {
            self.close(RedisError(error.code, "\(self.place): \(error.message)"))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.owner?.finishedReading(self)
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end(RedisError(.connectionLost, "Redis at \(self.place) closed the connection"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.close(RedisTransport.error(error, place: self.place))
    }

    private func take(_ arrival: RedisArrival, _ owner: (any RedisConnectionOwner)?, now: NIODeadline) -> Bool {
        switch arrival {
        case .message(let channel, let payload): owner?.received(channel: channel, payload: payload)
        case .reply(let reply) where self.receivesPushes && self.pending.isEmpty: owner?.received(push: reply)
        case .reply(let reply):
            guard let request = self.pending.popFirst(now: now) else {
                self.close(RedisError(.notRedis, "Redis at \(self.place) answered what was not asked"))
                return false
            }
            self.finish(request, reply)
        }
        return self.closing == nil
    }

    private func finish(_ request: RedisRequest, _ reply: RedisReply) {
        guard case .error(let error) = reply else { return self.finish(request, .success(reply)) }
        let failure = RedisError(error)
        if failure.code == .noScript, request.command != nil, let owner = self.owner {
            owner.missesScript(self, request)
        } else {
            self.finish(request, .failure(failure))
        }
        if self.needsMaster, error.kind == "READONLY" {
            self.close(RedisError(.connectionLost, "Redis at \(self.place) is no master any more"))
        }
    }

    private func finish(_ request: RedisRequest, _ result: Result<RedisReply, RedisError>) {
        self.answered.commands += request.size > 0 ? 1 : 0
        self.answered.bytes += request.size
        request.answer.tell(result)
    }

    // MARK: The clock

    private func setAlarm() {
        guard !self.hasAlarm, let context = self.context, let deadline = self.pending.deadline else { return }
        self.hasAlarm = true
        context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.alarm() }
    }

    private func alarm() {
        self.hasAlarm = false
        guard let deadline = self.pending.deadline, self.closing == nil else { return }
        guard deadline <= .now() else { return self.setAlarm() }
        self.close(RedisError(.timedOut, "Redis at \(self.place) did not answer in time"))
    }

    // MARK: The end

    private var lostError: RedisError {
        self.closing ?? RedisError(.connectionLost, "the connection to Redis at \(self.place) was lost")
    }

    /// Closes the connection; all that waits fails with `error`.
    func close(_ error: RedisError) {
        self.end(error)
        self.context?.close(promise: nil)
    }

    private func end(_ error: RedisError) {
        guard self.closing == nil else { return }
        self.closing = error
        for request in self.pending.takeAll() { self.finish(request, .failure(error)) }
        self.owner?.finishedReading(self)
        self.owner?.closed(self, error)
    }
}

extension ByteBufferView {
    /// `withUnsafeBytes` with a typed error.
    fileprivate func withUnsafeBytesTyped(
        _ body: (UnsafeRawBufferPointer) throws(RedisError) -> Void
    ) throws(RedisError) {
        let outcome = self.withUnsafeBytes { bytes -> Result<Void, RedisError> in
            do throws(RedisError) {
                return .success(try body(bytes))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }
}

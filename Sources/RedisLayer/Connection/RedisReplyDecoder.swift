import CHiredis
import NIOCore

/// What came from a server: an answer, or a message of a subscription.
enum RedisArrival {
    case reply(RedisReply)
    /// A `message` or `smessage` push. The buffers are written anew for the next one, unless somebody keeps them.
    case message(channel: ByteBuffer, payload: ByteBuffer)
}

/// What is accepted from a server.
struct RedisReplyLimits: Sendable {
    /// Bytes of one answer on the wire.
    var bytes = 256 << 20
    /// Values in one answer, arrays and their elements.
    var values = 1 << 20
}

/// Turns bytes into answers: the plainest by `RedisShortcut`, whenever one answer is done and another begins, all others by
/// hiredis' reader.
///
/// hiredis finds where values begin and end, and calls back for each: values are made right there, so that nothing is
/// allocated by hiredis itself and a payload is copied once, out of its input buffer. It nests at most seven deep.
final class RedisReplyDecoder {
    private let reader: UnsafeMutablePointer<redisReader>
    private let builder: RedisReplyBuilder
    private let limits: RedisReplyLimits
    private var shortcut = RedisShortcut()
    /// Bytes that hiredis has of answers that are not complete.
    private var unfinished = 0

    /// hiredis moves what is left of its input to the front after each kilobyte; so it never gets much at once.
    private static let slice = 8_192

    /// - Throws: `unavailable` when there is no memory.
    init(limits: RedisReplyLimits = .init()) throws(RedisError) {
        guard let reader = redisReaderCreateWithFunctions(RedisReplyBuilder.functions) else {
            throw RedisError(.unavailable, "no memory to read Redis' answers")
        }
        self.reader = reader
        self.limits = limits
        self.builder = RedisReplyBuilder(limits: limits)
        reader.pointee.privdata = Unmanaged.passUnretained(self.builder).toOpaque()
    }

    deinit { redisReaderFree(self.reader) }

    /// From now on messages of subscriptions are told as such.
    func expectMessages() { self.shortcut.expectsMessages = true }

    /// Reads what is there, calling `take` for each whole answer, in order; `false` from it ends the reading.
    ///
    /// - Throws: `notRedis` for bytes that are none of an answer, and for an answer beyond the limits. The decoder must
    ///   not be used again.
    func decode(_ bytes: UnsafeRawBufferPointer, _ take: (RedisArrival) -> Bool) throws(RedisError) {
        var offset = 0
        while offset < bytes.count {
            if self.unfinished == 0 {
                while let arrival = self.shortcut.read(bytes, at: &offset) { guard take(arrival) else { return } }
                guard offset < bytes.count else { return }
            }
            let piece = self.piece(of: bytes, at: offset)
            offset += piece.count
            self.unfinished += piece.count
            guard
                redisReaderFeed(self.reader, piece.assumingMemoryBound(to: CChar.self).baseAddress, piece.count)
                    == REDIS_OK
            else { throw self.fault() }
            while self.unfinished > 0, let reply = try self.next() {
                self.unfinished = self.reader.pointee.len - self.reader.pointee.pos
                guard take(self.arrival(reply)) else { return }
            }
            guard self.unfinished <= self.limits.bytes else {
                throw RedisError(.notRedis, "an answer is longer than \(self.limits.bytes) bytes")
            }
        }
    }

    /// What hiredis gets at once. Where messages come only up to the next end of a line, so that it has nothing left when
    /// the next message begins.
    private func piece(of bytes: UnsafeRawBufferPointer, at offset: Int) -> UnsafeRawBufferPointer {
        let most = UnsafeRawBufferPointer(rebasing: bytes[offset...].prefix(Self.slice))
        guard self.shortcut.expectsMessages, let end = most.firstIndex(of: UInt8(ascii: "\n")) else { return most }
        return UnsafeRawBufferPointer(rebasing: most[...end])
    }

    /// Messages that came in pieces were read as any other push.
    private func arrival(_ reply: RedisReply) -> RedisArrival {
        guard self.shortcut.expectsMessages, case .array(let parts) = reply, parts.count == 3,
            let kind = parts[0].bulk, let channel = parts[1].bulk, let payload = parts[2].bulk,
            kind == Self.message || kind == Self.shardedMessage
        else { return .reply(reply) }
        return .message(channel: channel, payload: payload)
    }

    private static let message = ByteBuffer(string: "message")
    private static let shardedMessage = ByteBuffer(string: "smessage")

    private func next() throws(RedisError) -> RedisReply? {
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(self.reader, &reply) == REDIS_OK else { throw self.fault() }
        return reply == nil ? nil : self.builder.takeFinished()
    }

    private func fault() -> RedisError {
        if let problem = self.builder.problem { return RedisError(.notRedis, problem) }
        let text = withUnsafeBytes(of: self.reader.pointee.errstr) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return RedisError(.notRedis, "what came is not Redis' protocol: \(text)")
    }
}

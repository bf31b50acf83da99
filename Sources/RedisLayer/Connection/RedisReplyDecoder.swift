import CHiredis
import NIOCore

/// What came from a server: an answer, or a message of a subscription.
enum RedisArrival {
    case reply(RedisReply)
    /// A `message` or `smessage` push. The buffers are the decoder's own and are written anew for the next one, unless
    /// somebody keeps them.
    case message(channel: ByteBuffer, payload: ByteBuffer)
}

/// What is accepted from a server.
struct RedisReplyLimits: Sendable {
    /// Bytes of one answer on the wire.
    var bytes = 256 << 20
    /// Values in one answer, arrays and their elements.
    var values = 1 << 20
}

/// Turns bytes into answers, by hiredis' reader.
///
/// hiredis finds where values begin and end, and calls back for each: values are made right there, so that nothing is
/// allocated by hiredis itself and a payload is copied once, out of its input buffer. It nests at most seven deep.
final class RedisReplyDecoder {
    private let reader: UnsafeMutablePointer<redisReader>
    private let builder: RedisReplyBuilder
    private let limits: RedisReplyLimits
    /// Bytes fed since the last answer was complete.
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
    func expectMessages() { self.builder.expectsMessages = true }

    /// Reads what is there, calling `take` for each whole answer, in order; `false` from it ends the reading.
    ///
    /// - Throws: `notRedis` for bytes that are none of an answer, and for an answer beyond the limits. The decoder must
    ///   not be used again.
    func decode(_ bytes: UnsafeRawBufferPointer, _ take: (RedisArrival) -> Bool) throws(RedisError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.slice))
            rest = rest.dropFirst(Self.slice)
            self.unfinished += piece.count
            guard
                redisReaderFeed(self.reader, piece.assumingMemoryBound(to: CChar.self).baseAddress, piece.count)
                    == REDIS_OK
            else { throw self.fault() }
            while let arrival = try self.next() {
                self.unfinished = 0
                guard take(arrival) else { return }
            }
            guard self.unfinished <= self.limits.bytes else {
                throw RedisError(.notRedis, "an answer is longer than \(self.limits.bytes) bytes")
            }
        }
    }

    private func next() throws(RedisError) -> RedisArrival? {
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

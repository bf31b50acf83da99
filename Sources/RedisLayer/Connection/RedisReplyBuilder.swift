import CHiredis
import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Makes answers out of what hiredis' reader finds, in the order it finds it: an array before its elements.
final class RedisReplyBuilder {
    /// An array whose elements are still to come.
    private struct Open {
        var elements: [RedisReply]
        var missing: Int
    }

    var expectsMessages = false
    /// What was refused; the reader only says that something was.
    private(set) var problem: String?
    private let limits: RedisReplyLimits
    private var values = 0
    private var open: [Open] = []
    private var finished: RedisReply?
    /// A `message` push that is being read.
    private var message: MessageStep?
    private var isSharded = false
    private var channel = ByteBuffer()
    private var payload = ByteBuffer()

    /// How far a push of three elements was read that may be a message.
    private enum MessageStep { case kind, channel, payload, complete }

    init(limits: RedisReplyLimits) { self.limits = limits }

    /// The answer that is complete; called once for each.
    func takeFinished() -> RedisArrival {
        self.values = 0
        if self.message == .complete {
            self.message = nil
            return .message(channel: self.channel, payload: self.payload)
        }
        defer { self.finished = nil }
        return .reply(self.finished ?? .null)
    }

    // MARK: What the reader finds

    fileprivate func array(of count: Int) -> Bool {
        guard self.count(1 + count) else { return false }
        if self.expectsMessages, count == 3, self.open.isEmpty, self.message == nil {
            self.message = .kind
        } else {
            self.giveUpMessage()
            guard count > 0 else {
                self.add(.array([]))
                return true
            }
            var elements: [RedisReply] = []
            // What is announced may never come.
            elements.reserveCapacity(min(count, 256))
            self.open.append(Open(elements: elements, missing: count))
        }
        return true
    }

    fileprivate func bulk(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch self.message {
        case nil, .complete: self.add(.bulk(ByteBuffer(bytes: bytes)))
        case .kind:
            if Self.isMessage(bytes) {
                self.isSharded = bytes.count == 8
                self.message = .channel
            } else {
                self.giveUpMessage()
                self.add(.bulk(ByteBuffer(bytes: bytes)))
            }
        case .channel:
            Self.fill(&self.channel, bytes)
            self.message = .payload
        case .payload:
            Self.fill(&self.payload, bytes)
            self.message = .complete
        }
        return true
    }

    fileprivate func scalar(_ reply: RedisReply) -> Bool {
        self.giveUpMessage()
        self.add(reply)
        return true
    }

    private func add(_ reply: RedisReply) {
        var reply = reply
        while let last = self.open.indices.last {
            self.open[last].elements.append(reply)
            self.open[last].missing -= 1
            guard self.open[last].missing == 0 else { return }
            reply = .array(self.open.removeLast().elements)
        }
        self.finished = reply
    }

    /// The push is no message after all: what was read of it becomes an array as any other.
    private func giveUpMessage() {
        guard let step = self.message else { return }
        self.message = nil
        self.open.append(Open(elements: [], missing: 3))
        switch step {
        case .kind, .complete: break
        case .channel: self.add(self.kind)
        case .payload:
            self.add(self.kind)
            self.add(.bulk(self.channel))
        }
    }

    private var kind: RedisReply { .bulk(ByteBuffer(string: self.isSharded ? "smessage" : "message")) }

    private func count(_ more: Int) -> Bool {
        self.values += more
        guard self.values <= self.limits.values else {
            self.problem = "an answer has more than \(self.limits.values) values"
            return false
        }
        return true
    }

    private static func isMessage(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let start = bytes.baseAddress else { return false }
        return switch bytes.count {
        case 7: memcmp(start, "message", 7) == 0
        case 8: memcmp(start, "smessage", 8) == 0
        default: false
        }
    }

    /// Writes into the same memory as long as nobody else holds it, and it is not far too much.
    private static func fill(_ buffer: inout ByteBuffer, _ bytes: UnsafeRawBufferPointer) {
        if buffer.capacity > 65_536, bytes.count < 16_384 {
            buffer = ByteBuffer(bytes: bytes)
        } else {
            buffer.clear(minimumCapacity: bytes.count)
            buffer.writeBytes(bytes)
        }
    }
}

// MARK: - The C side

extension RedisReplyBuilder {
    /// hiredis only compares what it gets with nil, and hands it on.
    nonisolated(unsafe) private static let something = UnsafeMutableRawPointer(bitPattern: 1)

    private static func found(
        _ task: UnsafePointer<redisReadTask>?, _ body: (RedisReplyBuilder) -> Bool
    ) -> UnsafeMutableRawPointer? {
        guard let task, let builder = task.pointee.privdata else { return nil }
        let isTaken = Unmanaged<RedisReplyBuilder>.fromOpaque(builder)._withUnsafeGuaranteedRef(body)
        return isTaken ? Self.something : nil
    }

    /// What hiredis calls; made once and never changed.
    nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        functions.initialize(
            to: redisReplyObjectFunctions(
                createString: { task, text, count in
                    let bytes = UnsafeRawBufferPointer(start: text, count: count)
                    let type = task?.pointee.type
                    return RedisReplyBuilder.found(task) { builder in
                        switch type {
                        case REDIS_REPLY_STATUS: builder.scalar(.simple(String(decoding: bytes, as: UTF8.self)))
                        case REDIS_REPLY_ERROR:
                            builder.scalar(
                                .error(RedisServerError(message: String(decoding: bytes, as: UTF8.self))))
                        default: builder.bulk(bytes)
                        }
                    }
                },
                createArray: { task, count in
                    RedisReplyBuilder.found(task) { $0.array(of: Int(count)) }
                },
                createInteger: { task, value in
                    RedisReplyBuilder.found(task) { $0.scalar(.integer(Int64(value))) }
                },
                createNil: { task in RedisReplyBuilder.found(task) { $0.scalar(.null) } },
                freeObject: nil))
        return functions
    }()
}

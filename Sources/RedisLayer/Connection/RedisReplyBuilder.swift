import CHiredis
import NIOCore

/// Makes answers out of what hiredis' reader finds, in the order it finds it: an array before its elements.
final class RedisReplyBuilder {
    /// An array whose elements are still to come.
    private struct Open {
        var elements: [RedisReply]
        var missing: Int
    }

    /// What was refused; the reader only says that something was.
    private(set) var problem: String?
    private let limits: RedisReplyLimits
    private var values = 0
    private var open: [Open] = []
    private var finished: RedisReply?
    init(limits: RedisReplyLimits) { self.limits = limits }

    /// The answer that is complete; called once for each.
    func takeFinished() -> RedisReply {
        self.values = 0
        defer { self.finished = nil }
        return self.finished ?? .null
    }

    // MARK: What the reader finds

    fileprivate func array(of count: Int) -> Bool {
        guard self.count(1 + count) else { return false }
        guard count > 0 else {
            self.add(.array([]))
            return true
        }
        var elements: [RedisReply] = []
        // What is announced may never come.
        elements.reserveCapacity(min(count, 256))
        self.open.append(Open(elements: elements, missing: count))
        return true
    }

    fileprivate func bulk(_ bytes: UnsafeRawBufferPointer) -> Bool { self.scalar(.bulk(ByteBuffer(bytes: bytes))) }

    fileprivate func scalar(_ reply: RedisReply) -> Bool {
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

    private func count(_ more: Int) -> Bool {
        self.values += more
        guard self.values <= self.limits.values else {
            self.problem = "an answer has more than \(self.limits.values) values"
            return false
        }
        return true
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

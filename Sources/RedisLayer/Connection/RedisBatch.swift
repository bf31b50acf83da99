import NIOCore

/// Commands that wait for the event loop, in order. Their bytes are joined as they come, on the threads they come from: the
/// loop passes them on as they are, however many there are.
struct RedisBatch: Sendable {
    /// What the commands without `command` are, one after the other.
    private(set) var bytes = ByteBuffer()
    private(set) var requests: [RedisRequest] = []

    var isEmpty: Bool { self.requests.isEmpty }

    /// - Returns: the bytes to be accounted for.
    mutating func append(_ command: RedisCommand, timeLimit: TimeAmount, _ answer: RedisAnswer) -> Int {
        let isAlone = command.script != nil || command.isLarge
        if !isAlone { command.write(into: &self.bytes) }
        self.requests.append(
            RedisRequest(
                answer: answer, timeLimit: timeLimit, size: command.size, command: isAlone ? command : nil))
        return command.size
    }

    /// Makes ready for the next commands. The memory for requests is kept; that of the bytes is the channel's now, and as
    /// much is made anew.
    mutating func clear() {
        self.requests.removeAll(keepingCapacity: self.requests.capacity <= 65_536)
        self.bytes = ByteBufferAllocator().buffer(capacity: min(self.bytes.writerIndex, 65_536))
    }
}

import ChannelLayer
import NIOCore

/// Messages that were taken out of Redis and that nobody has read yet, and the readers that wait for some, by channel.
///
/// Redis hands out what is for any channel of this process; what a channel's reader did not come for yet waits here, for
/// as long as it would in Redis. A value without a clock: the owner says what time it is.
struct RedisInbox {
    /// What became of a message.
    enum Deposit {
        case taken(RedisReader)
        case stored
        /// The channel was full: its oldest message gave way, as in the Python layer.
        case pushedOut
        /// All channels together hold too much, most likely for names that nobody reads.
        case refused
    }

    private final class Box {
        var letters = CircularBuffer<(message: LayerMessage, expires: Double)>()
        var readers = CircularBuffer<RedisReader>()
        var isUnused: Bool { self.letters.isEmpty && self.readers.isEmpty }
    }

    /// Messages of all channels together.
    private static let maximum = 100_000

    private var boxes: [String: Box] = [:]
    private(set) var letters = 0

    /// Channels for which somebody waits.
    var wanted: [String] { self.boxes.compactMap { $1.readers.isEmpty ? nil : $0 } }

    func isWanted(_ channel: String) -> Bool { self.boxes[channel]?.readers.isEmpty == false }

    // MARK: Messages

    /// - Parameters:
    ///   - expires: seconds since 1970.
    ///   - capacity: messages the channel may hold.
    mutating func deposit(
        _ message: LayerMessage, in channel: String, expires: Double, capacity: Int
    ) -> Deposit {
        let box = self.box(of: channel)
        if let reader = box.readers.popFirst() {
            self.dropIfUnused(box, channel)
            return .taken(reader)
        }
        guard self.letters < Self.maximum || !box.letters.isEmpty else {
            self.dropIfUnused(box, channel)
            return .refused
        }
        box.letters.append((message, expires))
        guard box.letters.count <= capacity else {
            box.letters.removeFirst()
            return .pushedOut
        }
        self.letters += 1
        return .stored
    }

    /// The oldest message of `channel` whose time is not over, and how many were before it whose time is.
    mutating func take(from channel: String, at now: Double) -> (message: LayerMessage?, expired: Int) {
        guard let box = self.boxes[channel] else { return (nil, 0) }
        let expired = self.dropExpired(box, now)
        let message = box.letters.popFirst()?.message
        if message != nil { self.letters -= 1 }
        self.dropIfUnused(box, channel)
        return (message, expired)
    }

    /// Drops whatever nobody read in time.
    mutating func sweep(at now: Double) -> [(channel: String, count: Int)] {
        var expired: [(channel: String, count: Int)] = []
        for (channel, box) in self.boxes {
            let count = self.dropExpired(box, now)
            if count > 0 { expired.append((channel, count)) }
            self.dropIfUnused(box, channel)
        }
        return expired
    }

    /// Forgets all messages. Readers go on waiting.
    mutating func forget() {
        for (channel, box) in self.boxes {
            box.letters.removeAll()
            self.dropIfUnused(box, channel)
        }
        self.letters = 0
    }

    private mutating func dropExpired(_ box: Box, _ now: Double) -> Int {
        var count = 0
        while let first = box.letters.first, first.expires <= now {
            box.letters.removeFirst()
            count += 1
        }
        self.letters -= count
        return count
    }

    // MARK: Readers

    mutating func wait(_ reader: RedisReader, for channel: String) { self.box(of: channel).readers.append(reader) }

    /// The reader does not want a message any more.
    mutating func leave(_ reader: RedisReader, _ channel: String) {
        guard let box = self.boxes[channel] else { return }
        box.readers.removeAll { $0 === reader }
        self.dropIfUnused(box, channel)
    }

    /// All readers; none waits any more.
    mutating func takeReaders(of isMeant: (String) -> Bool = { _ in true }) -> [RedisReader] {
        var readers: [RedisReader] = []
        for (channel, box) in self.boxes where isMeant(channel) {
            readers += box.readers
            box.readers.removeAll()
            self.dropIfUnused(box, channel)
        }
        return readers
    }

    // MARK: Boxes

    private mutating func box(of channel: String) -> Box {
        if let box = self.boxes[channel] { return box }
        let box = Box()
        self.boxes[channel] = box
        return box
    }

    private mutating func dropIfUnused(_ box: Box, _ channel: String) {
        if box.isUnused { self.boxes[channel] = nil }
    }
}

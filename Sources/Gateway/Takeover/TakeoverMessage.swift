package import NIOCore

/// What an old and a new gateway say to each other, each in one packet of a `SOCK_SEQPACKET` socket.
///
/// ```
///   new                                     old
///    hello ───────────────────────────────▶       accepts no more
///          ◀── offer, listener…, groups…, channels… ──
///    follows the groups, records
///    following ───────────────────────────▶       waits, notes what it delivers, waits
///                                           cut   reads and delivers no more; holds what is heard
///          ◀── log…, cut, session…, end ───
///    prepared(refused) ───────────────────▶
///          ◀────────── commit ─────────────       closes its copies, without a word to the browsers
///    serves
/// ```
///
/// Until `commit` the old one can go on as if nothing had been; after it only the new one has the browsers. When the old one
/// dies before it, the new one goes on with those whose sockets have come: the dead one delivered nothing after the cut.
package enum TakeoverMessage: Equatable, Sendable {
    /// What both must speak. Raised when a message or `SessionSnapshot` changes.
    package static let version: UInt16 = 3

    case hello(version: UInt16)
    /// - Parameter process: the old one's number.
    case offer(version: UInt16, process: Int32)
    /// A listening socket, beside the packet, with the address it was bound to.
    case listener(address: String)
    /// The listening socket of hand-offs with its path, and routers that are connected to it.
    case handoffListener(path: String)
    case router
    /// The listening socket of takeovers: who comes next waits in its queue until the new one is ready for them.
    case takeoverListener
    case groups([String])
    /// Groups that are followed as channels, among the others.
    case channels([String])
    case groupsEnd
    case following
    case log([HeardMessage])
    case cut(time: UInt64)
    /// A browser's socket, beside the packet.
    case session(ByteBuffer)
    /// The socket of one whose request has not all come, with what has come of it.
    case newcomer(ByteBuffer)
    case end
    /// - Parameter refused: numbers of the sessions and newcomers, counted together, that the old one keeps.
    case prepared(refused: [UInt32])
    case commit
    /// Everything stays with the old one.
    case abort(reason: String)

    package func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(self.number)
        switch self {
        case .hello(let version): bytes.writeInteger(version)
        case .offer(let version, let process): bytes.writeMultipleIntegers(version, process)
        case .listener(let text), .handoffListener(let text), .abort(let text): bytes.writeField(text)
        case .groups(let names), .channels(let names): bytes.writeField(names)
        case .log(let log):
            for heard in log { bytes.writeMultipleIntegers(heard.key.high, heard.key.low, heard.time) }
        case .cut(let time): bytes.writeInteger(time)
        case .session(let snapshot): bytes.writeImmutableBuffer(snapshot)
        case .newcomer(let head): bytes.writeImmutableBuffer(head)
        case .prepared(let refused): for number in refused { bytes.writeInteger(number) }
        case .router, .takeoverListener, .groupsEnd, .following, .end, .commit: break
        }
        return bytes
    }

    private var number: UInt8 {
        switch self {
        case .hello: 1
        case .offer: 2
        case .listener: 3
        case .handoffListener: 4
        case .router: 5
        case .groups: 6
        case .groupsEnd: 7
        case .following: 8
        case .log: 9
        case .cut: 10
        case .session: 11
        case .newcomer: 12
        case .end: 13
        case .prepared: 14
        case .commit: 15
        case .abort: 16
        case .takeoverListener: 17
        case .channels: 18
        }
    }

    package init(decoding packet: ByteBuffer) throws(SnapshotError) {
        var bytes = packet
        switch try bytes.integerField(as: UInt8.self) {
        case 1: self = .hello(version: try bytes.integerField())
        case 2: self = .offer(version: try bytes.integerField(), process: try bytes.integerField())
        case 3: self = .listener(address: try bytes.stringField())
        case 4: self = .handoffListener(path: try bytes.stringField())
        case 5: self = .router
        case 6: self = .groups(try bytes.stringsField())
        case 7: self = .groupsEnd
        case 8: self = .following
        case 9:
            var log: [HeardMessage] = []
            while bytes.readableBytes > 0 {
                let key = HeardMessage.Key(high: try bytes.integerField(), low: try bytes.integerField())
                log.append(HeardMessage(key: key, time: try bytes.integerField()))
            }
            self = .log(log)
        case 10: self = .cut(time: try bytes.integerField())
        case 11: self = .session(bytes.readSlice(length: bytes.readableBytes) ?? ByteBuffer())
        case 12: self = .newcomer(bytes.readSlice(length: bytes.readableBytes) ?? ByteBuffer())
        case 13: self = .end
        case 14:
            var refused: [UInt32] = []
            while bytes.readableBytes > 0 { refused.append(try bytes.integerField()) }
            self = .prepared(refused: refused)
        case 15: self = .commit
        case 16: self = .abort(reason: try bytes.stringField())
        case 17: self = .takeoverListener
        case 18: self = .channels(try bytes.stringsField())
        case let number: throw SnapshotError("\(number) is no message of a takeover")
        }
        try bytes.endOfFields()
    }
}

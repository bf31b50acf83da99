package import NIOCore

/// What waits to be sent to one browser, and when that is too much. A value without I/O: it says what to do.
///
/// ```
///                 offer               offer (more waits)          offer over the limit
///   writable ──────────────▶ writable ───────▶ backedUp ──────────────────────────────▶ closed
///       ▲       written whole   │ written in part     │ drained, more waits: goes on
///       └───────────────────────┴─────────────────────┘ drained, nothing waits
/// ```
package enum OutboundQueue: ~Copyable {
    /// The socket takes bytes; nothing waits.
    case writable
    /// The socket is full. One piece is with the event loop, the rest waits here, in order.
    case backedUp(Backlog)
    /// Closed, by either side. Whatever is offered from now on is dropped.
    case closed

    /// What becomes of a piece that has to wait too long.
    package enum Yielding: Equatable {
        /// Nothing: the connection is closed then.
        case never
        /// A newer one with the same mark takes its place.
        case toNewer(mark: Int)
        /// It is dropped when there is no room for newer ones.
        case toRoom
    }

    package struct Backlog {
        fileprivate struct Piece {
            var bytes: ByteBuffer
            let yielding: Yielding
        }

        fileprivate var waiting: CircularBuffer<Piece> = .init(initialCapacity: 4)
        /// With the event loop and waiting.
        package fileprivate(set) var bytes: Int

        /// Puts a piece in the place of one that it replaces.
        fileprivate mutating func replace(_ piece: Piece) -> Bool {
            guard case .toNewer = piece.yielding,
                let index = self.waiting.lastIndex(where: { $0.yielding == piece.yielding })
            else { return false }
            self.bytes &+= piece.bytes.readableBytes &- self.waiting[index].bytes.readableBytes
            self.waiting[index].bytes = piece.bytes
            return true
        }

        /// Drops the oldest pieces that may be dropped until no more than `limit` bytes wait.
        fileprivate mutating func makeRoom(limit: Int) -> Int {
            var dropped = 0
            while self.bytes > limit, let index = self.waiting.firstIndex(where: { $0.yielding == .toRoom }) {
                self.bytes &-= self.waiting.remove(at: index).bytes.readableBytes
                dropped &+= 1
            }
            return dropped
        }
    }

    package enum Action: Equatable {
        /// Give these bytes to the socket.
        case write(ByteBuffer)
        /// The peer reads too slowly: close with 3008 "slow".
        case closeSlow(waitingBytes: Int)
        /// So many pieces will never be sent.
        case dropped(Int)
        case none
    }

    /// Takes bytes to send.
    ///
    /// - Parameter limit: bytes that may wait; the setting `gateway.send_queue_limit`.
    package mutating func offer(_ bytes: ByteBuffer, limit: Int, yielding: Yielding = .never) -> Action {
        switch consume self {
        case .writable:
            self = .writable
            return .write(bytes)
        case .backedUp(var backlog):
            let piece = Backlog.Piece(bytes: bytes, yielding: yielding)
            if backlog.replace(piece) {
                self = .backedUp(backlog)
                return .dropped(1)
            }
            let room = limit &- bytes.readableBytes
            let dropped = yielding == .never ? 0 : backlog.makeRoom(limit: room)
            let waiting = backlog.bytes &+ bytes.readableBytes
            guard waiting <= limit else {
                self = .backedUp(backlog)
                return .closeSlow(waitingBytes: waiting)
            }
            backlog.bytes = waiting
            backlog.waiting.append(piece)
            self = .backedUp(backlog)
            return dropped > 0 ? .dropped(dropped) : .none
        case .closed:
            self = .closed
            return .none
        }
    }

    /// The socket took only a part; the event loop holds the remaining `bytes`.
    package mutating func wroteInPart(remaining bytes: Int) {
        switch consume self {
        case .writable: self = .backedUp(Backlog(bytes: bytes))
        case .backedUp(var backlog):
            backlog.bytes &+= bytes
            self = .backedUp(backlog)
        case .closed: self = .closed
        }
    }

    /// What the event loop held, `bytes` long, has gone out.
    package mutating func drained(_ bytes: Int) -> Action {
        switch consume self {
        case .backedUp(var backlog):
            backlog.bytes &-= bytes
            guard let next = backlog.waiting.popFirst() else {
                self = .writable
                return .none
            }
            backlog.bytes &-= next.bytes.readableBytes
            self = .backedUp(backlog)
            return .write(next.bytes)
        case .writable:
            self = .writable
            return .none
        case .closed:
            self = .closed
            return .none
        }
    }

    /// Forgets what waits, but not what the event loop already holds: a frame that has begun must end whole.
    package mutating func dropWaiting() {
        switch consume self {
        case .writable: self = .writable
        case .backedUp(var backlog):
            for piece in backlog.waiting { backlog.bytes &-= piece.bytes.readableBytes }
            backlog.waiting.removeAll()
            self = .backedUp(backlog)
        case .closed: self = .closed
        }
    }

    /// Drops everything and takes nothing more.
    package mutating func close() { self = .closed }

    /// The socket takes bytes at once.
    package var isWritable: Bool {
        switch self {
        case .writable: true
        case .backedUp: false
        case .closed: false
        }
    }

    /// Bytes that wait, with the event loop or here.
    package var waitingBytes: Int {
        switch self {
        case .writable: 0
        case .backedUp(let backlog): backlog.bytes
        case .closed: 0
        }
    }
}

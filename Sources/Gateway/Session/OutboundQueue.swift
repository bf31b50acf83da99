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

    package struct Backlog {
        package fileprivate(set) var waiting: CircularBuffer<ByteBuffer> = .init(initialCapacity: 4)
        /// With the event loop and waiting.
        package fileprivate(set) var bytes: Int
    }

    package enum Action: Equatable {
        /// Give these bytes to the socket.
        case write(ByteBuffer)
        /// The peer reads too slowly: close with 3008 "slow".
        case closeSlow(waitingBytes: Int)
        case none
    }

    /// Takes bytes to send.
    ///
    /// - Parameter limit: bytes that may wait; the setting `gateway.send_queue_limit`.
    package mutating func offer(_ bytes: ByteBuffer, limit: Int) -> Action {
        switch consume self {
        case .writable:
            self = .writable
            return .write(bytes)
        case .backedUp(var backlog):
            let waiting = backlog.bytes &+ bytes.readableBytes
            guard waiting <= limit else {
                self = .backedUp(backlog)
                return .closeSlow(waitingBytes: waiting)
            }
            backlog.bytes = waiting
            backlog.waiting.append(bytes)
            self = .backedUp(backlog)
            return .none
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
            backlog.bytes &-= next.readableBytes
            self = .backedUp(backlog)
            return .write(next)
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
            for bytes in backlog.waiting { backlog.bytes &-= bytes.readableBytes }
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

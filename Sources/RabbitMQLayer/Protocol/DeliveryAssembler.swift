import NIOCore

/// Puts the frames of a message together. Of one AMQP channel only: contents of several may interleave.
struct DeliveryAssembler {
    struct Delivery: Equatable {
        var head: DeliveryHead
        var body: ByteBuffer
        /// Why the broker dropped it from another queue: `expired`, `maxlen`, `rejected`, `delivery_limit`.
        var deathReason: String?
        /// Its offset in the stream that it is from.
        var place: UInt64?
    }

    private enum State {
        case idle
        case head(DeliveryHead)
        case body(Delivery, missing: UInt64)
        /// A message that is larger than anything we take.
        case oversized(Delivery, missing: UInt64)
    }

    private var state = State.idle
    private let limit: UInt64

    /// - Parameter limit: bytes; a larger body comes out empty.
    init(limit: Int = 64 << 20) { self.limit = UInt64(limit) }

    mutating func begin(_ head: DeliveryHead) { self.state = .head(head) }

    /// - Returns: the message, when it has no body.
    mutating func content(bytes: UInt64, deathReason: String?, place: UInt64? = nil) -> Delivery? {
        guard case .head(let head) = self.state else { return nil }
        var delivery = Delivery(head: head, body: ByteBuffer(), deathReason: deathReason, place: place)
        if bytes > self.limit {
            self.state = .oversized(delivery, missing: bytes)
            return nil
        }
        if bytes > 0 {
            delivery.body.reserveCapacity(Int(bytes))
            self.state = .body(delivery, missing: bytes)
            return nil
        }
        self.state = .idle
        return delivery
    }

    /// - Returns: the message, when this was the rest of it.
    mutating func body(_ bytes: UnsafeRawBufferPointer) -> Delivery? {
        switch self.state {
        case .body(var delivery, let missing):
            // The copy in `state` would make the buffer copy itself.
            self.state = .idle
            delivery.body.writeBytes(bytes)
            guard missing > UInt64(bytes.count) else { return delivery }
            self.state = .body(delivery, missing: missing - UInt64(bytes.count))
        case .oversized(let delivery, let missing):
            guard missing > UInt64(bytes.count) else {
                self.state = .idle
                return delivery
            }
            self.state = .oversized(delivery, missing: missing - UInt64(bytes.count))
        case .idle, .head: break
        }
        return nil
    }
}

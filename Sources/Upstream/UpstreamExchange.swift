package import HTTP1
package import NIOCore

/// One request and its answer, seen by the one who asks. All calls come on the connection's event loop.
///
/// The order is: `upstreamReady`; then `upstreamHead` for each interim answer and for the final one; `upstreamBody` any
/// number of times; and last, exactly once, `upstreamEnd` or `upstreamFailed` (the latter also instead of any of the
/// others). After 101 the bytes of the tunnel come by `upstreamBody` and its end by `upstreamTunnelEnded` and
/// `upstreamFailed`. `upstreamReadComplete` follows each batch: the moment to flush.
package protocol UpstreamExchange: AnyObject {
    /// The connection is this exchange's until its end. Send the request with `start`, before returning.
    func upstreamReady(_ connection: UpstreamConnection)
    /// A head came; status 100 to 199 but for 101 are interim and have no body.
    func upstreamHead(_ head: ResponseHead, framing: BodyFraming)
    /// A piece of the body, without its framing; of a tunnel, bytes.
    func upstreamBody(_ bytes: ByteBuffer)
    /// The answer is complete. The connection is no longer this exchange's.
    func upstreamEnd(trailers: HeaderFields)
    /// Everything that was read has been passed on.
    func upstreamReadComplete()
    /// The connection takes bytes again, or takes no more for now.
    func upstreamWritable(_ isWritable: Bool)
    /// The other side of the tunnel sends no more; it may still read.
    func upstreamTunnelEnded()
    /// There will be no (further) answer. The connection is no longer this exchange's.
    func upstreamFailed(_ error: UpstreamError)
}

/// Whether a request may be sent a second time.
package enum RetryRule {
    /// Where it may go.
    package enum Next: Equatable, Sendable {
        /// To any upstream, on a new connection: the old one was stale.
        case anywhere
        /// To another upstream than this one.
        case elsewhere
    }

    /// Methods that may be repeated without asking (RFC 9110 section 9.2.2).
    package static func isIdempotent(_ method: String) -> Bool {
        switch method {
        case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE": true
        default: false
        }
    }

    /// What may be done after `error`; `nil` for nothing.
    ///
    /// The connection ended without (the head of) an answer, and repeating does no harm. An upstream that takes too long or
    /// says nonsense is not left for another: whatever made it so would go round all of them.
    ///
    /// - Parameters:
    ///   - isHarmless: who asks says that it may be repeated, whatever its method.
    ///   - isReplayable: the whole request, as far as it was sent, is still at hand; nothing of an answer was passed on.
    ///   - repeats: how often it has been sent again already.
    ///   - retries: how often it may be.
    package static func next(
        after error: UpstreamError, method: String, isHarmless: Bool = false, isReplayable: Bool, repeats: Int,
        retries: Int
    ) -> Next? {
        guard isReplayable, isHarmless || Self.isIdempotent(method) else { return nil }
        switch error.code {
        // A kept connection may have ended while we wrote. That says nothing of the upstream, so it is no attempt at it.
        case .closedBeforeAnswer where error.onReusedConnection && repeats == 0: return .anywhere
        case .closedBeforeAnswer, .closedInAnswer: return repeats < retries ? .elsewhere : nil
        default: return nil
        }
    }
}

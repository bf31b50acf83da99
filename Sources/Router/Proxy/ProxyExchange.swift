import HTTP1
import NIOCore
import Upstream

/// One request that is under way, from its head to the end of its answer. Used on its connection's event loop only.
final class ProxyExchange {
    /// How a request's body goes to the upstream.
    enum Wire {
        case asIs, chunks
        /// In FastCGI.
        case records
    }

    let plan: RequestPlan
    let head: RequestHead
    let name: RequestName
    /// When it began, if its line in the log is to say so.
    let began: NIODeadline?
    /// Where it waits for a connection; `nil` once it has one.
    var ticket: UpstreamTicket?
    var connection: UpstreamConnection?
    var body: BodyDecoder
    /// The browser has sent all of it, and the upstream has been sent all of it.
    var requestIsComplete = false
    /// What of the body has been passed on, for a request that may be sent a second time; `nil` when it no longer can be,
    /// because it was not kept.
    private(set) var sentBody: ByteBuffer? = ByteBuffer()
    var wire: Wire
    /// A body without a length, for an upstream that must be told one.
    var collected: ByteBuffer?
    var isCollecting = false
    /// Upstreams that this request was sent to in vain.
    var tried: Set<Int> = []
    /// How often it was sent again.
    var repeats = 0
    /// A file that is being sent; the answer is ours then.
    var file: FileSending?
    /// Bytes of the answer's body, towards the browser.
    var bytesSent = 0
    /// Who was asked, for the log.
    var upstream: UpstreamAddress?
    /// `nil` until the final answer's head.
    var answer: AnswerPlan?
    var status = 0
    /// The answer is complete, and on its way.
    var isAnswered = false
    /// The browser, and we, would use the connection for a next request.
    var keepsAlive: Bool

    init(plan: RequestPlan, head: RequestHead, name: RequestName, began: NIODeadline?, keepsAlive: Bool) {
        self.plan = plan
        self.head = head
        self.name = name
        self.began = began
        self.body = BodyDecoder(framing: plan.framing)
        self.wire = plan.framing == .chunked ? .chunks : .asIs
        self.requestIsComplete = plan.framing == .none || plan.framing == .length(0)
        self.keepsAlive = keepsAlive
    }

    /// Everything that was sent is at hand: it can be sent again.
    var isReplayable: Bool { self.sentBody != nil || self.collected != nil }

    /// Bytes of a body that are kept.
    private static let keptBytes = 65_536

    /// Notes that `bytes` of the body, in the framing of the upstream, are passed on.
    func sent(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0, let kept = self.sentBody else { return }
        guard RetryRule.isIdempotent(self.plan.method), kept.readableBytes + bytes.readableBytes <= Self.keptBytes
        else {
            self.sentBody = nil
            return
        }
        self.sentBody?.writeImmutableBuffer(bytes)
    }

    /// Gives up the place in the queue, or the connection, whichever it has.
    func giveUpUpstream() {
        self.ticket?.withdraw()
        self.ticket = nil
        self.connection?.abandon()
        self.connection = nil
        self.file = nil
    }
}

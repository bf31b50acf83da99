import HTTP1
import NIOCore
import Upstream

/// One request that is under way, from its head to the end of its answer. Used on its connection's event loop only.
final class ProxyExchange {
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
    /// Bytes of the body have been passed on, so that it cannot be sent a second time.
    var bodyHasBegun = false
    /// `nil` until the final answer's head.
    var answer: AnswerPlan?
    var status = 0
    var wasRepeated = false
    /// The browser, and we, would use the connection for a next request.
    var keepsAlive: Bool

    init(plan: RequestPlan, head: RequestHead, name: RequestName, began: NIODeadline?, keepsAlive: Bool) {
        self.plan = plan
        self.head = head
        self.name = name
        self.began = began
        self.body = BodyDecoder(framing: plan.framing)
        self.requestIsComplete = plan.framing == .none || plan.framing == .length(0)
        self.keepsAlive = keepsAlive
    }

    /// The whole request is at hand: it can be sent again.
    var isReplayable: Bool { !self.bodyHasBegun }

    /// Gives up the place in the queue, or the connection, whichever it has.
    func giveUpUpstream() {
        self.ticket?.withdraw()
        self.ticket = nil
        self.connection?.abandon()
        self.connection = nil
    }
}

import ChannelLayer
import NIOCore
package import Upstream

/// Where and how the application is asked about one kind of event.
package struct ProxyConfiguration: Equatable, Sendable {
    /// Where an application is asked.
    package enum Endpoint: Sendable, Hashable {
        /// A path at the workers that the router knows.
        case workers(path: String)
        case server(UpstreamAddress, target: String)
    }

    /// A field of every request.
    package struct StaticField: Equatable, Sendable {
        package var name: String
        package var value: String
    }

    package var endpoint: Endpoint
    /// Milliseconds until the whole answer.
    package var timeout = 1_000
    /// Fields of the browser's own request that are passed on.
    package var fields = ["Cookie", "Authorization", "Origin", "User-Agent", "X-Forwarded-For"]
    /// The same of what the browser says in `connect`, which it can choose freely.
    package var emulatedFields: [String] = []
    /// Fields that are always sent: a secret that tells the application who asks.
    package var staticFields: [StaticField] = []
    /// Whether the connection's id is said. Without it equal connections ask equal questions.
    package var saysClient = true
    package var saysMeta = false
    package var isBinary = false
    /// Questions of one request; 1 for the form that every backend of Centrifugo knows.
    package var batchSize = 1
    /// Milliseconds that the first question of a batch waits for others.
    package var batchWindow = 5
    /// Requests under way at most; how many there are adapts to how long they take.
    package var concurrency = 256
    /// Questions that wait for their turn.
    package var waiting = 10_000
    /// Milliseconds that one may wait.
    package var patience = 10_000
    /// Answers in memory, for as long as the application's `Cache-Control` says.
    package var cached = 10_000
    /// Bytes of an answer at most.
    var answerLimit: Int { 65_536 * max(self.batchSize, 1) }
    /// What other statuses than 200 mean.
    var statuses: [Int: ProxyAnswer] = [:]

    package init(_ endpoint: Endpoint) { self.endpoint = endpoint }

    func limits<Ticket>() -> ProxyDesk<Ticket>.Limits {
        var limits = ProxyDesk<Ticket>.Limits()
        limits.batch = self.batchSize
        limits.window = .milliseconds(Int64(self.batchWindow))
        limits.concurrency = 1...max(self.concurrency, 1)
        limits.waiting = self.waiting
        limits.patience = .milliseconds(Int64(self.patience))
        limits.cached = self.cached
        return limits
    }
}

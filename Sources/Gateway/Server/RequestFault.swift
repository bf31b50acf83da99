/// What is wrong with a request before anybody is asked who it is from; `Refusal` is for those after.
package struct RequestFault: Error, Equatable {
    /// What kind; the raw value stands in the log, and in the answer to who asks from this host.
    package enum Reason: String, Sendable {
        /// No route has this path.
        case noRoute = "no_route"
        /// Neither a WebSocket nor an event stream is asked for.
        case noStream = "no_stream"
        case wrongMethod = "wrong_method"
        /// The opening handshake lacks something, or has too much.
        case badHandshake = "bad_handshake"
        /// A WebSocket of another version than 13.
        case wrongVersion = "wrong_version"
        /// The head is no HTTP that is taken.
        case badRequest = "bad_request"
        /// The head, or the answer to who it is, did not come in time.
        case tooSlow = "too_slow"
        /// The gateway takes nobody any more.
        case stopping
    }

    package let status: Int
    package let reason: Reason
    /// One sentence for the person who looks.
    package let message: String

    package init(_ status: Int, _ reason: Reason, _ message: String) {
        self.status = status
        self.reason = reason
        self.message = message
    }

    /// What a status wants beside it (RFC 9110 sections 15.5.6, 15.5.22 and 10.2.3).
    package var fields: [(String, String)] {
        switch self.status {
        case 405: [("Allow", "GET")]
        case 426: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
        case 503: [("Retry-After", "1")]
        default: []
        }
    }

    static let tooSlow = RequestFault(408, .tooSlow, "The request did not come in time.")
    static let stopping = RequestFault(503, .stopping, "This gateway is stopping. Come back in a moment.")
}

import HTTP1

/// How an upstream's answer is framed towards the browser.
struct AnswerPlan: Equatable {
    enum Framing: Equatable {
        /// As the upstream's: by length, or no body at all.
        case asIs
        /// In chunks of our own: the upstream's chunks are not passed on byte by byte, so no oddity in them is either.
        case chunked
        /// The end of the connection is the end of the body: for HTTP/1.0 browsers.
        case untilClose
    }

    var framing: Framing
    var keepsAlive: Bool
    /// Whether a `Transfer-Encoding: chunked` is written.
    var saysChunked: Bool

    /// - Parameters:
    ///   - framing: of the upstream's answer to this very request.
    ///   - requestKeepsAlive: the browser, and the proxy, would go on using the connection.
    init(framing: BodyFraming, request: RequestPlan, requestKeepsAlive: Bool) {
        switch framing {
        case .none, .length: self.framing = .asIs
        case .chunked, .untilClose: self.framing = request.isHTTP10 ? .untilClose : .chunked
        }
        self.keepsAlive = requestKeepsAlive && self.framing != .untilClose
        self.saysChunked = self.framing == .chunked
    }
}

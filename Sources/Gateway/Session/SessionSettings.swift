/// What one session is held to. The same for all sessions of a gateway.
package struct SessionSettings: Sendable {
    /// Bytes of one message from a browser.
    package var messageLimit = 65_536
    /// Messages a second from one browser, and how many at once.
    package var messageRate = RateLimit(perSecond: 100, burst: 200)
    /// Bytes one connection may have waiting to be sent.
    package var sendQueueLimit = 1_048_576
    /// Seconds between pings, or between the comments of an event stream.
    package var pingInterval = 25
    /// Seconds a browser has to show that it lives after a ping.
    package var pongTimeout = 10
    /// Seconds without a message in either direction after which a connection is closed; 0 never.
    package var idleTimeout = 0
    /// Seconds a closing connection may take to finish.
    package var closeTimeout = 5

    package init() {}
}

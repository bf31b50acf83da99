/// Why a WebSocket ends, as the browser is told (RFC 6455 section 7.4; 3000 and up are ours or the application's).
///
/// Whether a client should come back is said by range: 1000 to 2999 and 3000 to 3499 yes, 3500 to 3999 no,
/// 4000 to 4499 yes, 4500 to 4999 no.
package struct CloseCode: Sendable, Hashable, RawRepresentable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Done; nothing is wrong.
    package static let normal = CloseCode(rawValue: 1000)
    /// The browser leaves the page; also what we say when it closed without a code.
    package static let goingAway = CloseCode(rawValue: 1001)
    /// Bytes that are no WebSocket frames, or frames out of order.
    package static let protocolError = CloseCode(rawValue: 1002)
    /// A kind of data this route does not take.
    package static let unsupportedData = CloseCode(rawValue: 1003)
    /// No code was given. Never on the wire.
    package static let noStatus = CloseCode(rawValue: 1005)
    /// The connection was lost without a close frame. Never on the wire.
    package static let abnormal = CloseCode(rawValue: 1006)
    /// Text that is not UTF-8, or compressed data that does not inflate.
    package static let invalidPayload = CloseCode(rawValue: 1007)
    /// A rule of ours was broken: too many messages a second, too many connections.
    package static let policyViolation = CloseCode(rawValue: 1008)
    /// A message above `gateway.message_limit`.
    package static let messageTooBig = CloseCode(rawValue: 1009)
    /// Something failed on our side.
    package static let internalError = CloseCode(rawValue: 1011)
    /// This gateway stops or restarts: come back, to another one.
    package static let serviceRestart = CloseCode(rawValue: 1012)
    /// Busy or without its broker: come back later.
    package static let tryAgainLater = CloseCode(rawValue: 1013)
    /// The browser reads slower than its groups speak. Come back and load the state anew.
    package static let slow = CloseCode(rawValue: 3008)
    /// No answer to a ping for too long.
    package static let noPong = CloseCode(rawValue: 3012)

    /// Whether the code may stand in a close frame (RFC 6455 section 7.4 and the IANA registry): not those that only describe
    /// what happened (1005, 1006, 1015), and not those nobody has registered.
    package var mayStandInFrame: Bool {
        switch self.rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

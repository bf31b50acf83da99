/// Why a command was not carried out. The numbers and words are those of the Centrifugo client protocol, or of the
/// application, which has 400 to 1999; an SDK tries again by itself after a temporary one.
struct ClientError: Error, Hashable, Sendable {
    var code: UInt32
    var message: String
    var isTemporary = false

    init(_ code: UInt32, _ message: String, isTemporary: Bool = false) {
        self.code = code
        self.message = message
        self.isTemporary = isTemporary
    }

    static let `internal` = ClientError(100, "internal server error", isTemporary: true)
    static let unauthorized = ClientError(101, "unauthorized")
    static let unknownChannel = ClientError(102, "unknown channel")
    static let permissionDenied = ClientError(103, "permission denied")
    static let methodNotFound = ClientError(104, "method not found")
    static let alreadySubscribed = ClientError(105, "already subscribed")
    static let limitExceeded = ClientError(106, "limit exceeded")
    static let badRequest = ClientError(107, "bad request")
    static let notAvailable = ClientError(108, "not available")
    static let tokenExpired = ClientError(109, "token expired")
    static let expired = ClientError(110, "expired")
    static let tooManyRequests = ClientError(111, "too many requests", isTemporary: true)
    static let unrecoverablePosition = ClientError(112, "unrecoverable position")
}

/// Why a whole connection ends, as the SDKs know it: they come back after 3000 to 3499, and stay away after 3500 to 3999.
/// The application has 4000 to 4499, after which they come back, and 4500 to 4999.
struct ClientDisconnect: Error, Hashable, Sendable {
    var rawValue: UInt16
    /// At most 123 bytes, and never JSON.
    var reason: String

    init(_ code: UInt16, _ reason: String) {
        self.rawValue = code
        self.reason = reason
    }

    var code: CloseCode { CloseCode(rawValue: self.rawValue) }

    /// What becomes of an error where there are no replies.
    init(refusing error: ClientError) {
        switch error {
        case .tokenExpired, .expired: self = .connectionExpired
        case .tooManyRequests: self = .tooManyRequests
        case .permissionDenied: self = .permissionDenied
        default: self = .internalError
        }
    }

    static let shutdown = ClientDisconnect(3001, "shutdown")
    static let internalError = ClientDisconnect(3004, "internal server error")
    static let connectionExpired = ClientDisconnect(3005, "connection expired")
    static let subscriptionExpired = ClientDisconnect(3006, "subscription expired")
    static let slow = ClientDisconnect(3008, "slow")
    static let insufficientState = ClientDisconnect(3010, "insufficient state")
    static let forceReconnect = ClientDisconnect(3011, "force reconnect")
    static let noPong = ClientDisconnect(3012, "no pong")
    static let tooManyRequests = ClientDisconnect(3013, "too many requests")
    static let stateInvalidated = ClientDisconnect(3014, "state invalidated")
    static let invalidToken = ClientDisconnect(3500, "invalid token")
    static let badRequest = ClientDisconnect(3501, "bad request")
    static let stale = ClientDisconnect(3502, "stale")
    static let forceDisconnect = ClientDisconnect(3503, "force disconnect")
    static let connectionLimit = ClientDisconnect(3504, "connection limit")
    static let channelLimit = ClientDisconnect(3505, "channel limit")
    static let inappropriateProtocol = ClientDisconnect(3506, "inappropriate protocol")
    static let permissionDenied = ClientDisconnect(3507, "permission denied")
    static let notAvailable = ClientDisconnect(3508, "not available")
    static let tooManyErrors = ClientDisconnect(3509, "too many errors")
}

/// Why a browser is taken off a channel; SDKs subscribe again after 2500 and above.
enum ClientUnsubscribe: UInt32, Sendable {
    case server = 2000
    case insufficientState = 2500
    case expired = 2501
    case stateInvalidated = 2502

    var reason: String {
        switch self {
        case .server: "server unsubscribe"
        case .insufficientState: "insufficient state"
        case .expired: "subscription expired"
        case .stateInvalidated: "state invalidated"
        }
    }
}

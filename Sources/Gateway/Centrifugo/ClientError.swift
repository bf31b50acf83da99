/// Why a command was not carried out. The numbers and words are those of the Centrifugo client protocol; an SDK tries
/// again by itself after a `temporary` one.
enum ClientError: UInt32, Sendable, CaseIterable {
    case `internal` = 100
    case unknownChannel = 102
    case permissionDenied = 103
    case alreadySubscribed = 105
    case limitExceeded = 106
    case badRequest = 107
    case notAvailable = 108
    case tokenExpired = 109
    case expired = 110
    case unrecoverablePosition = 112

    var message: String {
        switch self {
        case .internal: "internal server error"
        case .unknownChannel: "unknown channel"
        case .permissionDenied: "permission denied"
        case .alreadySubscribed: "already subscribed"
        case .limitExceeded: "limit exceeded"
        case .badRequest: "bad request"
        case .notAvailable: "not available"
        case .tokenExpired: "token expired"
        case .expired: "expired"
        case .unrecoverablePosition: "unrecoverable position"
        }
    }

    var isTemporary: Bool { self == .internal }
}

/// Why a whole connection ends, as the SDKs know it: they come back after 3000 to 3499, and stay away after 3500 to 3999.
enum ClientDisconnect: UInt16, Sendable, CaseIterable {
    case shutdown = 3001
    case connectionExpired = 3005
    case insufficientState = 3010
    case tooManyRequests = 3013
    case invalidToken = 3500
    case badRequest = 3501
    case stale = 3502
    case connectionLimit = 3504
    case inappropriateProtocol = 3506
    case notAvailable = 3508

    var code: CloseCode { CloseCode(rawValue: self.rawValue) }

    var reason: String {
        switch self {
        case .shutdown: "shutdown"
        case .connectionExpired: "connection expired"
        case .insufficientState: "insufficient state"
        case .tooManyRequests: "too many requests"
        case .invalidToken: "invalid token"
        case .badRequest: "bad request"
        case .stale: "stale"
        case .connectionLimit: "connection limit"
        case .inappropriateProtocol: "inappropriate protocol"
        case .notAvailable: "not available"
        }
    }
}

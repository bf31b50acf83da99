/// Why a connection is not let in. Nothing of `message` goes to the browser: it may name what only the operator may know.
package struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind; the raw value is the label of the metric that counts it.
    package enum Reason: String, Sendable, Hashable, CaseIterable {
        /// The page's origin is not allowed here.
        case origin
        /// No credentials, or a worker said no.
        case unauthenticated
        /// Credentials that are wrong, too old or damaged.
        case badCredentials = "bad_credentials"
        /// The worker that decides did not answer usefully in time. Trying again later helps.
        case authenticationUnavailable = "authentication_unavailable"
        /// The layer could not follow the groups. Trying again later helps.
        case layerUnavailable = "layer_unavailable"
        /// A template gave no valid group name.
        case invalidGroup = "invalid_group"
        /// The route serves this host only.
        case notLoopback = "not_loopback"
        /// The user has as many connections as one may have.
        case userLimit = "user_limit"
        /// The address has as many connections as one may have.
        case addressLimit = "address_limit"
        /// The gateway is full. Trying again later helps.
        case totalLimit = "total_limit"
    }

    package let reason: Reason
    /// One sentence for the log.
    package let message: String

    package init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    /// The HTTP status of the answer before the connection is accepted.
    package var status: Int {
        switch self.reason {
        case .origin, .unauthenticated, .badCredentials, .invalidGroup, .notLoopback: 403
        case .userLimit, .addressLimit: 429
        case .authenticationUnavailable, .layerUnavailable, .totalLimit: 503
        }
    }

    /// The close code for a route that accepts first and closes then (`"refuse": "close"`): some browser modules,
    /// CATMAID's for one, come back after a close but not after a refused handshake. By their ranges (`CloseCode`)
    /// 4401 and 4429 ask a client to come back, 4503 tells it not to.
    package var closeCode: UInt16 {
        switch self.reason {
        case .unauthenticated, .badCredentials: 4401
        case .origin, .invalidGroup, .notLoopback: 4503
        case .userLimit, .addressLimit: 4429
        // Try again later (registered with IANA for RFC 6455).
        case .authenticationUnavailable, .layerUnavailable, .totalLimit: 1013
        }
    }

    /// The reason in the close frame, at most 123 bytes.
    package var closeReason: String {
        switch self.reason {
        case .origin: "origin not allowed"
        case .unauthenticated: "not authenticated"
        case .badCredentials: "credentials not valid"
        case .authenticationUnavailable: "authentication not available, try again later"
        case .layerUnavailable: "no messages at the moment, try again later"
        case .invalidGroup: "not allowed"
        case .notLoopback: "this route serves its own host only"
        case .userLimit: "too many connections of this user"
        case .addressLimit: "too many connections from this address"
        case .totalLimit: "too many connections, try again later"
        }
    }

    package var description: String { "\(self.reason.rawValue): \(self.message)" }
}

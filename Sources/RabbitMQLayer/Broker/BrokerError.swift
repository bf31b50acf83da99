import ChannelLayer

/// Why there is no connection, or none any more.
struct BrokerError: Error, Sendable, Equatable, CustomStringConvertible {
    enum Kind: Sendable, Equatable {
        /// Nobody there, or the connection broke: the next attempt may succeed by itself.
        case lost
        /// The broker refuses what was asked; a person must act.
        case refused
    }

    let kind: Kind
    let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// What callers are told.
    var layerError: LayerError { LayerError(.unavailable, self.description) }
}

/// What the broker says when it closes an AMQP channel or the connection.
struct BrokerRefusal: Sendable, Equatable {
    /// AMQP's: 403 ACCESS_REFUSED, 404 NOT_FOUND, 406 PRECONDITION_FAILED, 530 NOT_ALLOWED …
    let code: Int
    let text: String

    /// A permission that a user needs for something, by RabbitMQ's rules (its "Access Control" page).
    enum Permission: String, Sendable { case configure, write, read }

    /// The refusal of a log-in.
    func ofLogin(to address: RabbitMQAddress, setting: String) -> BrokerError {
        switch self.code {
        case 403:
            BrokerError(
                .refused,
                "RabbitMQ at \(address) does not take the user \"\(address.user)\" with this password; "
                    + "see \(setting). It says: \(self.text)")
        case 530 where self.text.contains("not found"):
            BrokerError(
                .refused,
                "RabbitMQ has no virtual host \"\(address.virtualHost)\"; see the end of the URL in \(setting), or "
                    + "make it: rabbitmqctl add_vhost \(address.virtualHost)")
        case 530:
            BrokerError(
                .refused,
                "The user \"\(address.user)\" may not use the virtual host \"\(address.virtualHost)\" of \(setting); "
                    + "rabbitmqctl set_permissions -p \(address.virtualHost) \(address.user) would let it. "
                    + "RabbitMQ says: \(self.text)")
        default: BrokerError(.lost, "RabbitMQ at \(address) ended the connection: \(self.code) \(self.text)")
        }
    }

    /// The refusal of something that was asked on an open connection.
    ///
    /// - Parameters:
    ///   - what: "declare the exchange \"groups\"", to follow "cannot".
    ///   - permission: what the user needs for it.
    ///   - setting: where what was asked comes from; `nil` when it stands in no setting.
    func of(
        _ what: String, needs permission: Permission, user: String, setting: String?
    ) -> BrokerError {
        let hint = setting.map { "; see \($0)" } ?? ""
        switch self.code {
        case 403:
            return BrokerError(
                .refused,
                "RabbitMQ does not let the user \"\(user)\" \(what): the \(permission.rawValue) permission lacks\(hint). "
                    + "rabbitmqctl set_permissions grants it. It says: \(self.text)")
        case 406:
            return BrokerError(
                .refused,
                "RabbitMQ cannot \(what): another program made it differently\(hint), or delete it so that it is made "
                    + "anew. It says: \(self.text)")
        default:
            return BrokerError(.lost, "RabbitMQ cannot \(what)\(hint): \(self.code) \(self.text)")
        }
    }
}

public import ChannelLayer

/// Histories are made by each process for itself, of one log that all write to and read: a stream queue. What is kept is
/// thus in the memory of every process that uses it, and the log is what remains when all of them are gone.
///
/// Publications of all processes are heard in the order of their offsets; a plain message to the same group goes another way
/// and may come before or after them.
extension RabbitMQLayer: GroupStore {
    public var store: (any GroupStore)? { self }

    public func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) {
        if let key = message.reservedKey {
            return completion(
                .failure(
                    LayerError(.invalidMessage, "the key \(key) is reserved for the layers; name it otherwise")))
        }
        guard options.keepsHistory || options.idempotencyKey != nil else {
            return self.submit(message, toGroup: group) { error in
                completion(error.map { .failure($0) } ?? .success(.init(position: .init(offset: 0, epoch: ""))))
            }
        }
        self.log.publish(message, toGroup: group, keeping: options, completion: completion)
    }

    public func readHistory(
        of group: GroupName, _ query: HistoryQuery,
        completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void
    ) {
        self.log.readHistory(of: group, query, completion: completion)
    }

    public func removeHistory(of group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {
        self.log.removeHistory(of: group, completion: completion)
    }

    public func addPresence(
        _ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        self.log.addPresence(presence, in: group, completion: completion)
    }

    public func removePresence(
        of client: String, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        self.log.removePresence(of: client, in: group, completion: completion)
    }

    public func readPresence(
        of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
    ) {
        self.log.readPresence({ $0.list(group) }, completion: completion)
    }

    public func readPresenceStats(
        of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
    ) {
        self.log.readPresence({ $0.stats(group) }, completion: completion)
    }
}

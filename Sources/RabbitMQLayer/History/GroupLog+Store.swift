import ChannelLayer

extension GroupLog: GroupStore {
    /// How long the position of a group is known to which nobody publishes.
    private static let emptyLife = Duration.seconds(3_600)

    func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping Publish
    ) {
        if let key = message.reservedKey {
            return completion(
                .failure(
                    LayerError(.invalidMessage, "the key \(key) is reserved for the layers; name it otherwise")))
        }
        guard options.keepsHistory || options.idempotencyKey != nil else {
            return self.send(message, to: options.audience ?? group) { error in
                completion(error.map { .failure($0) } ?? .success(.init(position: .init(offset: 0, epoch: ""))))
            }
        }
        self.whenLive(.publish(completion)) { log in
            log.write(.publish(completion), group) { state in
                .publication(message, options, state.log.beginning(of: group, at: log.now()))
            }
        }
    }

    func readHistory(of group: GroupName, _ query: HistoryQuery, completion: @escaping Read) {
        self.whenLive(.read(group, query, completion)) { log in
            let (page, mustLook) = log.look(group, query)
            if let page { completion(.success(page)) }
            guard mustLook else { return }
            let answer = page == nil ? Answer.read(group, query, completion) : .told { _ in }
            let life = min(query.metaTimeToLive, Self.emptyLife)
            log.write(answer, group) { state in
                .look(state.log.beginning(of: group, at: log.now()), timeToLive: life)
            }
        }
    }

    /// What is known here, and whether the group must be asked for in the log: it has no position, or not for long.
    private func look(_ group: GroupName, _ query: HistoryQuery) -> (page: HistoryPage?, mustLook: Bool) {
        let now = Duration.milliseconds(self.now())
        return self.state.withLock { state in
            let time = max(now, .milliseconds(state.log.time))
            guard let (page, end) = state.log.histories.look(at: group, query, at: time) else { return (nil, true) }
            return (page, end - time < min(query.metaTimeToLive, Self.emptyLife) / 2)
        }
    }

    func removeHistory(of group: GroupName, completion: @escaping Told) {
        self.whenLive(.told(completion)) { log in log.write(.told(completion), group) { _ in .removal } }
    }

    func addPresence(_ presence: Presence, in group: GroupName, completion: @escaping Told) {
        self.whenLive(.told(completion)) { log in
            log.write(.told(completion), group) { state in
                state.own[group, default: [:]][presence.client] = presence
                return .present([presence])
            }
        }
    }

    func removePresence(of client: String, in group: GroupName, completion: @escaping Told) {
        self.whenLive(.told(completion)) { log in
            log.write(.told(completion), group) { state in
                Self.forget(client, in: group, &state)
                return .absent(client: client)
            }
        }
    }

    func handOverPresence(of client: String, in group: GroupName) {
        self.state.withLock { Self.forget(client, in: group, &$0) }
    }

    private static func forget(_ client: String, in group: GroupName, _ state: inout State) {
        state.own[group]?[client] = nil
        if state.own[group]?.isEmpty == true { state.own[group] = nil }
    }

    func readPresence(
        of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
    ) {
        self.readPresence({ $0.list(group) }, completion: completion)
    }

    func readPresenceStats(
        of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
    ) {
        self.readPresence({ $0.stats(group) }, completion: completion)
    }

    private func readPresence<Value: Sendable>(
        _ value: @escaping @Sendable (PresenceState) -> Value,
        completion: @escaping @Sendable (Result<Value, LayerError>) -> Void
    ) {
        self.whenLive(.told { if let error = $0 { completion(.failure(error)) } }) { log in
            completion(.success(value(log.state.withLock { $0.log.presence })))
        }
    }
}

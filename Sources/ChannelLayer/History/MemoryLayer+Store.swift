extension MemoryLayer: GroupStore {
    public var store: (any GroupStore)? { self }

    public func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) {
        if let error = Self.refusal(of: message) { return completion(.failure(error)) }
        let now = self.now()
        let outcome = self.state.withLock { state -> (result: PublishResult, delivers: Bool)? in
            state.isClosed ? nil : state.publish(message, to: group, keeping: options, at: now)
        }
        guard let (result, delivers) = outcome else { return completion(.failure(Self.closed)) }
        if delivers { self.deliverWaiting(of: options.audience ?? group) }
        completion(.success(result))
    }

    public func readHistory(
        of group: GroupName, _ query: HistoryQuery,
        completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void
    ) {
        let now = self.now()
        let page = self.state.withLock { $0.isClosed ? nil : $0.page(of: group, query, at: now) }
        completion(page.map { .success($0) } ?? .failure(Self.closed))
    }

    public func removeHistory(of group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {
        completion(self.change { $0.history.removePublications(of: group) })
    }

    // There is no other process, so nothing has to expire: what is here ends with this object.

    public func addPresence(
        _ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        completion(self.change { $0.presence.add(presence, in: group) })
    }

    public func removePresence(
        of client: String, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        completion(self.change { $0.presence.remove(client, from: group) })
    }

    /// Nothing to do: another gateway of this layer is in this process, and what it says is said here.
    public func handOverPresence(of client: String, in group: GroupName) {}

    public func readPresence(
        of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
    ) {
        let list = self.state.withLock { $0.isClosed ? nil : $0.presence.list(group) }
        completion(list.map { .success($0) } ?? .failure(Self.closed))
    }

    public func readPresenceStats(
        of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
    ) {
        let stats = self.state.withLock { $0.isClosed ? nil : $0.presence.stats(group) }
        completion(stats.map { .success($0) } ?? .failure(Self.closed))
    }

    private func change(_ change: (inout MemoryState) -> Void) -> LayerError? {
        self.state.withLock { state in
            guard !state.isClosed else { return Self.closed }
            change(&state)
            return nil
        }
    }
}

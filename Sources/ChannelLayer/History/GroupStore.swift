/// What a layer keeps of groups, beside carrying their messages: the last publications, and who is there.
///
/// A group whose publications are kept has a *stream*: they are numbered 1, 2, 3 … (`offset`), within one life of the
/// stream (`epoch`). The epoch is random, stays when the history expires or is removed, and changes when the stream's
/// memory of itself is lost. Both together are a position, from which a reader can go on.
///
/// Presence is what this process said of its own clients: it holds until it is taken back, through losses of the broker
/// too, and ends within `LayerConfiguration.presenceExpiry` after the process did.
///
/// As with `ChannelLayer`, the forms with a completion are for event loops; it is called once, on any thread, perhaps before
/// the call returns.
///
/// Model: the `Broker` and `PresenceManager` interfaces of `centrifuge`.
public protocol GroupStore: Sendable {
    /// Keeps `message` as the group's next publication, and sends it to the group, in one step: whoever hears it finds it in
    /// the history, and all hear publications in the order of their offsets.
    ///
    /// What is heard and kept is the message with the entries `offset` and `epoch` after its own (`LayerMessage.position`).
    /// When the options keep nothing, it is sent as it is. When they name an audience, its members hear it, and not the
    /// group's.
    func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void)

    /// What is kept of the group's publications, and the newest position.
    func readHistory(
        of group: GroupName, _ query: HistoryQuery,
        completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void)

    /// Forgets the publications. Epoch and offset go on.
    func removeHistory(of group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void)

    /// Says that a client of this process is in `group`, or says it anew with other information. Holds until
    /// `removePresence`; the layer renews it.
    func addPresence(
        _ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void)

    /// Takes back what `addPresence` said. No error when nothing was.
    func removePresence(
        of client: String, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void)

    /// This process says no longer that the client is in `group`, because another one does; nothing is taken back.
    func handOverPresence(of client: String, in group: GroupName)

    /// Who is in `group`, of all processes, in no order.
    func readPresence(
        of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void)

    /// How many are in `group`.
    ///
    /// - Complexity: independent of how many there are; numbers are kept for this.
    func readPresenceStats(
        of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void)
}

extension ChannelLayer {
    /// A layer keeps nothing unless it says otherwise.
    public var store: (any GroupStore)? { nil }
}

// MARK: - For those who can await

extension GroupStore {
    @discardableResult
    public func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions
    ) async throws(LayerError) -> PublishResult {
        try await withCheckedContinuation { continuation in
            self.publish(message, toGroup: group, keeping: options) { continuation.resume(returning: $0) }
        }.get()
    }

    public func readHistory(of group: GroupName, _ query: HistoryQuery) async throws(LayerError) -> HistoryPage {
        try await withCheckedContinuation { continuation in
            self.readHistory(of: group, query) { continuation.resume(returning: $0) }
        }.get()
    }

    public func removeHistory(of group: GroupName) async throws(LayerError) {
        let error = await withCheckedContinuation { continuation in
            self.removeHistory(of: group) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    public func addPresence(_ presence: Presence, in group: GroupName) async throws(LayerError) {
        let error = await withCheckedContinuation { continuation in
            self.addPresence(presence, in: group) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    public func removePresence(of client: String, in group: GroupName) async throws(LayerError) {
        let error = await withCheckedContinuation { continuation in
            self.removePresence(of: client, in: group) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    public func readPresence(of group: GroupName) async throws(LayerError) -> [Presence] {
        try await withCheckedContinuation { continuation in
            self.readPresence(of: group) { continuation.resume(returning: $0) }
        }.get()
    }

    public func readPresenceStats(of group: GroupName) async throws(LayerError) -> PresenceStats {
        try await withCheckedContinuation { continuation in
            self.readPresenceStats(of: group) { continuation.resume(returning: $0) }
        }.get()
    }
}

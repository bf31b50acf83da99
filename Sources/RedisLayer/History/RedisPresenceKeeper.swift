import ChannelLayer
import NIOCore
import Synchronization

/// What this process said of its own clients, which it renews until it takes it back.
///
/// Each second a part of the groups has its turn, so that all have theirs within a third of the time for which presence is
/// believed. What Redis does not know any more is said anew.
final class RedisPresenceKeeper: Sendable {
    private struct State {
        /// By group, each with a place in the round.
        var groups: [GroupName: [String: Presence]] = [:]
        var round: ArraySlice<GroupName> = []
        var timer: RepeatedTask?
        var isClosed = false
    }

    private let keys: RedisStoreKeys
    /// Milliseconds.
    private let life: Int64
    private let transport: any RedisStoreTransport
    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    /// Clients in one command.
    private static let batch = 256

    init(_ keys: RedisStoreKeys, life: Int64, transport: any RedisStoreTransport, eventLoop: any EventLoop) {
        self.keys = keys
        self.life = life
        self.transport = transport
        self.eventLoop = eventLoop
    }

    // MARK: Wishes

    func add(_ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {
        self.state.withLock { state in
            state.groups[group, default: [:]][presence.client] = presence
            if state.timer == nil, !state.isClosed { state.timer = self.startTimer() }
        }
        self.say([presence], in: group, completion: completion)
    }

    func remove(_ client: String, from group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {
        self.forget(client, in: group)
        var command = self.keys.presenceCommand(RedisPresenceScripts.remove, group)
        command.append(client)
        self.transport.run(command, for: group) { result in
            if case .failure(let error) = result { completion(error.layerError) } else { completion(nil) }
        }
    }

    /// Says it no longer, and takes nothing back.
    func forget(_ client: String, in group: GroupName) {
        self.state.withLock { state in
            state.groups[group]?[client] = nil
            if state.groups[group]?.isEmpty == true { state.groups[group] = nil }
        }
    }

    private func say(
        _ presences: some Collection<Presence>, in group: GroupName,
        completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        let size = presences.reduce(320) { $0 + $1.info.readableBytes + $1.user.utf8.count + $1.client.utf8.count + 32 }
        var command = self.keys.presenceCommand(RedisPresenceScripts.add, group, reserving: size)
        command.append(self.life)
        for presence in presences {
            command.append(presence.client)
            command.append(presence.user)
            command.append(presence.info)
        }
        self.transport.run(command, for: group) { result in
            if case .failure(let error) = result { completion(error.layerError) } else { completion(nil) }
        }
    }

    // MARK: Renewing

    private func startTimer() -> RepeatedTask {
        let pause = TimeAmount.milliseconds(max(20, min(1_000, self.life / 9)))
        return self.eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { [weak self] _ in self?.turn() }
    }

    /// A part of the groups, of which there are as many as turns in a third of the time.
    private func turn() {
        let due = self.state.withLock { state -> [(GroupName, [String])] in
            if state.round.isEmpty { state.round = Array(state.groups.keys)[...] }
            let turns = Int(max(1, self.life / 3 / max(20, min(1_000, self.life / 9))))
            let count = (max(state.groups.count, state.round.count) + turns - 1) / turns
            defer { state.round = state.round.dropFirst(count) }
            return state.round.prefix(count).compactMap { group in state.groups[group].map { (group, Array($0.keys)) } }
        }
        for (group, clients) in due { self.renew(clients, in: group) }
    }

    /// Everything, at once.
    func renewAll() {
        let all = self.state.withLock { $0.groups.mapValues { Array($0.keys) } }
        for (group, clients) in all { self.renew(clients, in: group) }
    }

    private func renew(_ clients: [String], in group: GroupName) {
        for start in stride(from: 0, to: clients.count, by: Self.batch) {
            let part = clients[start..<min(start + Self.batch, clients.count)]
            var command = self.keys.presenceCommand(
                RedisPresenceScripts.renew, group, reserving: part.count * 48 + 320)
            command.append(self.life)
            for client in part { command.append(client) }
            self.transport.run(command, for: group) { [weak self] result in
                // While Redis is away nothing can be done; the next turn tries again.
                guard case .success(let reply) = result, let unknown = reply.array, !unknown.isEmpty else { return }
                self?.sayAnew(unknown.compactMap(\.text), in: group)
            }
        }
    }

    private func sayAnew(_ clients: [String], in group: GroupName) {
        // Said under the lock, so that it comes before a removal that is under way.
        self.state.withLock { state in
            let presences = clients.compactMap { state.groups[group]?[$0] }
            if !presences.isEmpty { self.say(presences, in: group) { _ in } }
        }
    }

    func close() {
        self.state.withLock { state in
            state.isClosed = true
            state.timer?.cancel()
            state.timer = nil
            state.groups = [:]
            state.round = []
        }
    }
}

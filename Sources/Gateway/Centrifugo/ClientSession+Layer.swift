import ChannelLayer
import JSON
import NIOCore

/// What takes time: tokens, and all that the layer does. Each ends with an event for the machine, on the session's loop.
extension ClientSession {
    // MARK: Tokens

    func verify(_ token: String, _ session: Session) {
        guard let tokens = self.endpoint.tokens else {
            return self.resume(self.machine.verified(.failure(.invalid), now: 0))
        }
        let now = WallClock.seconds()
        session.shard.eventLoop.makeFutureWithTask { await tokens.credentials(of: token, now: now) }
            .assumeIsolated().whenSuccess { [weak self] result in
                guard let self else { return }
                self.resume(self.machine.verified(result, now: now))
            }
    }

    func verifySubscription(_ token: String, _ session: Session) {
        guard let tokens = self.endpoint.tokens else {
            return self.resume(self.machine.subscriptionVerified(.failure(.invalid), now: 0))
        }
        let now = WallClock.seconds()
        session.shard.eventLoop.makeFutureWithTask { await tokens.subscription(of: token, now: now) }
            .assumeIsolated().whenSuccess { [weak self] result in
                guard let self else { return }
                self.resume(self.machine.subscriptionVerified(result, now: now))
            }
    }

    // MARK: Subscriptions

    /// Follows the channel's group, finds out what is wanted of its stream and says that somebody is there; then the
    /// subscription is open. Until then what arrives is held.
    func open(_ opening: ClientOpening, _ session: Session) {
        let shard = session.shard
        let group = opening.channel.group
        shard.acquire(channel: group) { [weak self] error in
            guard let self, let session = self.session, session.isOpen, self.machine.awaits(opening) else {
                if error == nil { shard.release(channel: group) }
                return
            }
            if let error { return self.resume(self.machine.opened(opening, .failure(error), now: 0)) }
            self.follow(opening, session)
            self.prepare(opening, session)
        }
    }

    /// Hears a channel's group, which is acquired. Where something is wanted of its stream, what arrives is held.
    func follow(_ opening: ClientOpening, _ session: Session) {
        var form = self.transport.form.union(opening.form)
        if opening.hearsJoinLeave { form.insert(.joinLeave) }
        session.shard.follow(
            opening.channel.group, for: session,
            as: Form(ruleSet: self.endpoint.firstForm + opening.namespace, client: form, wire: session.form.wire),
            isHeld: opening.wanted != .nothing, filter: opening.filter, slowReaders: opening.slowReaders)
    }

    /// Of the channel that a user may have in one connection alone.
    func hearReplacements(in channel: ClientChannel, _ session: Session) {
        guard let personal = self.endpoint.rules.personal, personal.isSingle,
            channel.text == personal.channel(of: self.machine.user)
        else { return }
        session.context.hub.hearCommands(in: channel.group)
    }

    /// What others are told who ask who is there.
    func presence(_ info: ClientInfo) -> Presence {
        Presence(
            client: self.machine.client, user: self.machine.user,
            info: LayerJSON.text(of: info.layerValue) ?? ByteBuffer())
    }

    private func prepare(_ opening: ClientOpening, _ session: Session) {
        let run = OpeningRun(opening)
        self.hearReplacements(in: opening.channel, session)
        // Both at once; each comes back to the loop by itself.
        if let info = opening.presence, let store = session.context.layer.store {
            run.left += 1
            let presence = self.presence(info)
            self.ask(
                session, LayerError?.self,
                { completion in
                    store.addPresence(presence, in: opening.channel.group) { completion($0) }
                }
            ) { client, error in
                run.error = run.error ?? error
                client.advance(run)
            }
        }
        if let query = opening.wanted.query(limit: self.endpoint.rules.recoveryLimit) {
            run.left += 1
            let hub = session.context.hub
            hub.watch(opening.channel.group)
            self.ask(
                session, Result<HistoryPage, LayerError>.self,
                { completion in
                    hub.read(opening.channel.group, query) { completion($0) }
                }
            ) { client, result in
                switch result {
                case .success(let page): run.page = page
                case .failure(let error): run.error = run.error ?? error
                }
                client.advance(run)
            }
        }
        self.advance(run)
    }

    private func advance(_ run: OpeningRun) {
        run.left -= 1
        guard run.left == 0 else { return }
        let opening = run.opening
        guard let session = self.session, session.isOpen, self.machine.awaits(opening) else {
            // Nobody wants it any more. What the machine took back may have been said only now.
            if opening.presence != nil, !self.machine.isHere(opening.channel.text) { self.takeBackPresence(opening) }
            return
        }
        if let error = run.error {
            session.shard.unfollow(opening.channel.group, for: session)
            if opening.presence != nil { self.takeBackPresence(opening) }
            return self.resume(self.machine.opened(opening, .failure(error), now: 0))
        }
        let number = opening.form.contains(.compact) ? session.context.hub.number(of: opening.channel.group) : 0
        let (runs, now) = (session.shard.runs, WallClock.seconds())
        self.resume(self.machine.opened(opening, .success(run.page), number: number, runs: runs, now: now)) {
            guard let page = run.page, session.isOpen, self.machine.isHere(opening.channel.text) else { return }
            let isWhole = session.shard.release(opening.channel.group, for: session, after: page.top.offset)
            if !isWhole { self.hear(.lost, in: opening.channel.group) }
        }
    }

    private func takeBackPresence(_ opening: ClientOpening) {
        self.endpoint.layer?.store?.removePresence(of: self.machine.client, in: opening.channel.group) { _ in }
    }

    // MARK: Commands

    func publish(
        _ data: ClientData, by publisher: ClientInfo, to channel: ClientChannel, _ namespace: Int,
        _ decided: ProxyResult?, _ session: Session
    ) {
        var message = LayerMessage.publication(data.layerValue)
        message.entries.append(LayerValue.Entry(key: .string("info"), value: publisher.layerValue))
        decided?.add(to: &message)
        let layer = session.context.layer
        let namespaces = self.endpoint.rules.namespaces.all
        if namespaces.indices.contains(namespace),
            let options = HistoryOptions(namespaces[namespace], decided ?? ProxyResult()), let store = layer.store
        {
            self.ask(
                session, LayerError?.self,
                { completion in
                    store.publish(message, toGroup: channel.group, keeping: options) { completion($0.failure) }
                }
            ) { $0.resume($0.machine.published($1)) }
        } else {
            self.ask(
                session, LayerError?.self,
                { completion in
                    layer.submit(message, toGroup: channel.group) { completion($0) }
                }
            ) { $0.resume($0.machine.published($1)) }
        }
    }

    func readPresence(of channel: ClientChannel, _ session: Session) {
        guard let store = session.context.layer.store else {
            return self.resume(self.machine.presenceRead(.failure(.keepsNothing)))
        }
        self.ask(
            session, Result<[Presence], LayerError>.self,
            { completion in
                store.readPresence(of: channel.group) { completion($0) }
            }
        ) { $0.resume($0.machine.presenceRead($1)) }
    }

    func readPresenceStats(of channel: ClientChannel, _ session: Session) {
        guard let store = session.context.layer.store else {
            return self.resume(self.machine.statsRead(.failure(.keepsNothing)))
        }
        self.ask(
            session, Result<PresenceStats, LayerError>.self,
            { completion in
                store.readPresenceStats(of: channel.group) { completion($0) }
            }
        ) { $0.resume($0.machine.statsRead($1)) }
    }

    func readHistory(of channel: ClientChannel, _ query: HistoryQuery, _ session: Session) {
        guard let store = session.context.layer.store else {
            return self.resume(self.machine.historyRead(.failure(.keepsNothing)))
        }
        self.ask(
            session, Result<HistoryPage, LayerError>.self,
            { completion in
                store.readHistory(of: channel.group, query) { completion($0) }
            }
        ) { $0.resume($0.machine.historyRead($1)) }
    }

    /// Begins something that ends on any thread, and goes on with its result on the loop.
    private func ask<Value: Sendable>(
        _ session: Session, _ type: Value.Type, _ begin: (@escaping @Sendable (Value) -> Void) -> Void,
        _ next: @escaping (ClientSession, Value) -> Void
    ) {
        let loop = session.shard.eventLoop
        let bound = NIOLoopBound((client: self, next: next), eventLoop: loop)
        begin { value in
            loop.execute {
                let (client, next) = bound.value
                next(client, value)
            }
        }
    }
}

/// A subscription on its way to be open. Lives on its session's loop.
private final class OpeningRun {
    let opening: ClientOpening
    /// What is still to come, and the beginning itself.
    var left = 1
    var page: HistoryPage?
    var error: LayerError?

    init(_ opening: ClientOpening) { self.opening = opening }
}

extension ClientOpening.Wanted {
    fileprivate func query(limit: Int) -> HistoryQuery? {
        switch self {
        case .nothing: nil
        case .position: .position
        case .publications(let since): HistoryQuery(limit: limit, since: since)
        case .newest: HistoryQuery(limit: 1, isReverse: true)
        }
    }
}

extension HistoryOptions {
    /// What the namespace keeps; `nil` for nothing.
    package init?(_ options: ChannelOptions) {
        guard options.keepsHistory else { return nil }
        self.init(
            size: options.historySize, timeToLive: .seconds(options.historyTime),
            metaTimeToLive: .seconds(max(options.historyMetaTime, options.historyTime)))
    }
}

extension LayerError {
    fileprivate static let keepsNothing = LayerError(.unavailable, "the layer keeps nothing")
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

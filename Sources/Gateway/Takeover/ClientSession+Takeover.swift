import ChannelLayer
import JSON
import NIOCore

/// How a connection that chooses its channels goes on in another gateway.
extension ClientSession {
    /// Whether it cannot move, however long one waits: what the browser says in requests of their own finds this gateway by
    /// its name; and who has not said yet who it is begins as quickly elsewhere.
    var mustStay: Bool { self.transport.path.needsEmulation || !self.machine.isConnected && !self.machine.isBusy }

    /// Whether nothing is under way, and it is known how far each stream was told.
    var canMove: Bool {
        self.isIdle && self.machine.canMove
            && self.machine.subscriptions.values.allSatisfy { !$0.isPositioned || self.place(in: $0.channel) != nil }
    }

    /// Where it stands; `nil` for one that cannot move.
    var snapshot: ClientSnapshot? {
        guard let session = self.session, self.isIdle, self.machine.canMove else { return nil }
        return self.machine.snapshot(secret: self.secret) {
            session.context.hub.number(of: $0.group)
        } place: {
            self.place(in: $0)
        }
    }

    private func place(in channel: ClientChannel) -> ClientSnapshot.Place? {
        guard let session = self.session, let position = session.context.hub.position(of: channel.group),
            let known = session.knownOffset(of: channel.group), known >= position.offset
        else { return nil }
        return ClientSnapshot.Place(known: known, position: position)
    }

    /// Another gateway has it: nothing is told to anybody.
    func passOn() {
        for subscription in self.machine.subscriptions.values where subscription.options.presence {
            self.endpoint.layer?.store?.handOverPresence(of: self.machine.client, in: subscription.channel.group)
        }
        self.detach()
    }

    /// Hears its channels again, which are acquired. Its session is among those of the shard.
    func resume(_ snapshot: ClientSnapshot) {
        for old in snapshot.subscriptions {
            guard let session = self.session, session.isOpen, let subscription = self.machine.subscriptions[old.channel]
            else { return }
            self.follow(subscription, old.place, session)
            if subscription.options.presence {
                // The layer says it anew until it is taken back, so that an error ends by itself.
                self.endpoint.layer?.store?.addPresence(
                    self.presence(self.machine.info(in: old.channel)), in: subscription.channel.group
                ) { _ in }
            }
        }
        self.moveDeadline()
    }

    private func follow(_ subscription: ClientSubscription, _ place: ClientSnapshot.Place?, _ session: Session) {
        self.follow(ClientOpening(subscription, presence: nil), session)
        self.hearReplacements(in: subscription.channel, session)
        // Nothing was held yet, and so nothing is missing.
        if let place { _ = session.shard.release(subscription.channel.group, for: session, after: place.known) }
    }
}

extension Session {
    /// The newest publication of a group that the browser has, or all of them before it; `nil` while it is being told what
    /// was before.
    func knownOffset(of group: GroupName) -> UInt64? {
        guard let membership = self.memberships.last(where: { $0.list.group == group }) else { return nil }
        guard let joiner = membership.joiner else { return membership.list.lastOffset }
        return joiner.top
    }
}

/// Who asks for something, as far as the answer depends on it.
struct ChannelAsker: Equatable, Sendable {
    /// Empty for a visitor without one.
    var user: String
    var isSubscribed = false
    /// The gateway is told to let everybody do everything, which is for trying things out.
    var isInsecure = false
}

/// Whether somebody may subscribe, and who says so.
enum SubscribeDecision: Equatable, Sendable {
    case allowed
    /// If the token that came with the wish allows it.
    case verify
    /// If the application does.
    case ask
    case refused(ClientError)
}

/// Whether somebody may publish.
enum PublishDecision: Equatable, Sendable {
    case allowed
    case ask
    case refused(ClientError)
}

/// The order of these questions is the protocol's: what decides first decides alone.
extension ChannelOptions {
    func subscribeDecision(to channel: String, by asker: ChannelAsker, hasToken: Bool) -> SubscribeDecision {
        guard self.allowsName(channel) else { return .refused(.badRequest) }
        if hasToken { return .verify }
        guard !ChannelOptions.isPrivate(channel) else { return .refused(.permissionDenied) }
        if self.allowUserLimitedChannels, let users = ChannelOptions.users(of: channel) {
            let isListed = !asker.user.isEmpty && users.contains(asker.user[...])
            return isListed || asker.isInsecure ? .allowed : .refused(.permissionDenied)
        }
        if self.asksToSubscribe { return .ask }
        return self.allowsSubscribing(asker) ? .allowed : .refused(.permissionDenied)
    }

    /// Whether a browser of a one-way transport gets a channel that it names when it connects: only without a token and
    /// without the application's being asked.
    func allowsAtConnect(_ channel: String, by asker: ChannelAsker) -> Bool {
        guard !self.asksToSubscribe || ChannelOptions.users(of: channel) != nil else { return false }
        return self.subscribeDecision(to: channel, by: asker, hasToken: false) == .allowed
    }

    func publishDecision(by asker: ChannelAsker) -> PublishDecision {
        if self.asksToPublish { return .ask }
        return self.publishing.allows(asker) ? .allowed : .refused(.permissionDenied)
    }

    /// - Returns: `nil` when it is allowed.
    func presenceRefusal(for asker: ChannelAsker) -> ClientError? {
        guard self.presence else { return .notAvailable }
        return self.presenceAccess.allows(asker) ? nil : .permissionDenied
    }

    /// - Returns: `nil` when it is allowed.
    func historyRefusal(for asker: ChannelAsker) -> ClientError? {
        guard self.keepsHistory else { return .notAvailable }
        return self.historyAccess.allows(asker) ? nil : .permissionDenied
    }

    /// Whether the name is one that the namespace has.
    func allowsName(_ channel: String) -> Bool {
        self.namePattern?.matches(ChannelNamespaces.rest(of: channel)) ?? true
    }

    private func allowsSubscribing(_ asker: ChannelAsker) -> Bool {
        asker.isInsecure || self.allowSubscribeForClient && (!asker.user.isEmpty || self.allowSubscribeForAnonymous)
    }

    /// A private channel is for who has a token for it.
    static func isPrivate(_ channel: String) -> Bool { channel.utf8.first == ChannelNamespaces.privateMark }

    /// The users of a channel that is limited to some.
    static func users(of channel: String) -> [Substring]? {
        guard let mark = channel.utf8.lastIndex(of: UInt8(ascii: "#")) else { return nil }
        return channel[channel.utf8.index(after: mark)...].split(separator: ",")
    }
}

extension ChannelAccess {
    func allows(_ asker: ChannelAsker) -> Bool {
        if asker.isInsecure { return true }
        if self.forClient, !asker.user.isEmpty || self.forAnonymous { return true }
        return self.forSubscriber && asker.isSubscribed
    }
}

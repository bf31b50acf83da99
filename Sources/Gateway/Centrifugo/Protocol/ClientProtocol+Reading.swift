import ChannelLayer
import JSON

/// Who is there, and what was said before.
extension ClientProtocol {
    mutating func presence(_ id: UInt32, _ channel: String, stats: Bool) -> [Action] {
        switch self.lookUp(channel) {
        case .failure(let error): return self.refuse(id, error)
        case .success(let found):
            // A token may have turned presence on for this subscription.
            let options = self.subscriptions[channel]?.options ?? found.options
            if let error = options.presenceRefusal(for: self.asker(of: channel)) { return self.refuse(id, error) }
            self.pending = .reading(id: id, nil, dataKey: nil)
            return [stats ? .readPresenceStats(found.channel) : .readPresence(found.channel)]
        }
    }

    mutating func presenceRead(_ result: Result<[Presence], LayerError>) -> [Action] {
        guard case .reading(let id, _, _)? = self.takePending() else { return [] }
        guard case .success(let found) = result else { return self.refuse(id, .internal) }
        var clients: [String: ClientInfo] = [:]
        for each in found {
            clients[each.client] =
                ClientInfo(.json(JSONText(unchecked: each.info))) ?? ClientInfo(user: each.user, client: each.client)
        }
        return [.reply(ClientReply(id, .presence(clients)))]
    }

    mutating func statsRead(_ result: Result<PresenceStats, LayerError>) -> [Action] {
        guard case .reading(let id, _, _)? = self.takePending() else { return [] }
        guard case .success(let stats) = result else { return self.refuse(id, .internal) }
        let counts = (UInt32(clamping: stats.clients), UInt32(clamping: stats.users))
        return [.reply(ClientReply(id, .presenceStats(clients: counts.0, users: counts.1)))]
    }

    mutating func history(_ id: UInt32, _ request: ClientCommand.History) -> [Action] {
        switch self.lookUp(request.channel) {
        case .failure(let error): return self.refuse(id, error)
        case .success(let found):
            if let error = found.options.historyRefusal(for: self.asker(of: request.channel)) {
                return self.refuse(id, error)
            }
            guard !request.isReverse || request.since?.offset != 0 else { return self.refuse(id, .badRequest) }
            let most = self.rules.historyLimit
            let limit = request.limit < 0 ? most : min(Int(request.limit), most)
            var query = HistoryQuery(limit: limit, since: request.since, isReverse: request.isReverse)
            query.metaTimeToLive = .seconds(found.options.historyMetaTime)
            self.pending = .reading(id: id, query, dataKey: found.options.dataKey)
            return [.readHistory(found.channel, query)]
        }
    }

    mutating func historyRead(_ result: Result<HistoryPage, LayerError>) -> [Action] {
        guard case .reading(let id, let query?, let dataKey)? = self.takePending() else { return [] }
        guard case .success(let page) = result else { return self.refuse(id, .internal) }
        if let epoch = query.since?.epoch, !epoch.isEmpty, epoch != page.top.epoch {
            return self.refuse(id, .unrecoverablePosition)
        }
        let publications = page.publications.compactMap { try? ClientPublication($0.message, dataKey: dataKey) }
        return [.reply(ClientReply(id, .history(publications, top: page.top)))]
    }
}

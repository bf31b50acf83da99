import ChannelLayer
import JSON
import NIOCore

/// What other processes ask of the connections of one event loop.
extension HubShard {
    func perform(_ command: ControlCommand) {
        switch command {
        case .subscribe(let selector, let subscription):
            for client in self.clients(selector) { client.subscribe(subscription) }
        case .unsubscribe(let selector, let channel):
            for client in self.clients(selector) { client.unsubscribe(from: channel.isEmpty ? nil : channel) }
        case .refresh(let selector, let refresh):
            for client in self.clients(selector) { client.refresh(refresh) }
        case .disconnect(let selector, let spared, let code, let reason):
            let reason = ClientDisconnect(code, reason)
            for session in self.connections.sessions(of: selector.user) {
                if let client = session.client {
                    guard client.isMeant(by: selector, user: selector.user), !spared.contains(client.id) else {
                        continue
                    }
                    client.end(reason)
                } else if selector.client.isEmpty, selector.session.isEmpty {
                    session.sendAway(reason.code, reason: reason.reason)
                }
            }
        }
    }

    private func clients(_ selector: ConnectionSelector) -> [ClientSession] {
        self.connections.sessions(of: selector.user).compactMap { session in
            session.client.flatMap { $0.isMeant(by: selector, user: selector.user) ? $0 : nil }
        }
    }

    /// How many follow each channel here.
    func channelCounts(matching pattern: CapacityPattern?) -> [String: Int] {
        var counts: [String: Int] = [:]
        for (group, followers) in self.followerCounts where followers > 0 {
            let channel = ClientChannel(of: group).text
            if pattern?.matches(channel) ?? true { counts[channel] = followers }
        }
        return counts
    }

    /// Connections with the client protocol, each as a JSON object, by their ids.
    ///
    /// - Parameter user: whose; everybody's without one.
    func describeConnections(of user: String?) -> [String: ByteBuffer] {
        var clients: [String: ByteBuffer] = [:]
        for session in user.map(self.connections.sessions(of:)) ?? Array(self.connections.all) {
            guard clients.count < SurveyAnswer.limit, let client = session.client else { continue }
            clients[client.id] = client.description(of: session.info.user ?? "")
        }
        return clients
    }

    /// Who follows a group with the client protocol, each as a JSON object, by their ids.
    func describeFollowers(of group: GroupName) -> [String: ByteBuffer] {
        var clients: [String: ByteBuffer] = [:]
        for session in self.followers(of: group) {
            guard clients.count < SurveyAnswer.limit, let client = session.client else { continue }
            var json = ByteBuffer(string: #"{"user":"#)
            json.writeJSONString(session.info.user ?? "")
            json.writeString(#","client":"\#(client.id)"}"#)
            clients[client.id] = json
        }
        return clients
    }
}

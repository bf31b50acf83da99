import ChannelLayer

/// Publications as messages to their group, for Python's consumers and for processes that do not read the log.
extension GroupLog {
    /// A publication came through the exchange of the groups, as those hear it who do not read the log.
    ///
    /// - Returns: whether it is to be heard here.
    func takesCopy(_ position: StreamPosition, of group: GroupName) -> Bool {
        guard !self.isLive else { return false }
        return self.state.withLock { state in
            guard state.phase != .live else { return false }
            if state.phase == .catchingUp { state.copied[group] = position }
            return true
        }
    }

    func wasCopied(_ message: LayerMessage, _ group: GroupName, _ state: State) -> Bool {
        guard !state.copied.isEmpty, let copied = state.copied[group], let position = message.position else {
            return false
        }
        return position.epoch == copied.epoch && position.offset <= copied.offset
    }

    /// Says to them what everybody else has read in the log.
    func copy(_ message: LayerMessage, _ group: GroupName) { self.send(message, to: group) { _ in } }

    /// A message that is not kept.
    func send(_ message: LayerMessage, to group: GroupName, completion: @escaping Told) {
        do throws(LayerError) {
            let body = try message.encoded(adding: Arrival.groupKey, group.text)
            self.outbox.offer(
                Submission(
                    target: .group, key: group.text, name: group.text, body: body,
                    deadline: .now + self.configuration.timeout, completion: completion))
        } catch {
            completion(error)
        }
    }
}

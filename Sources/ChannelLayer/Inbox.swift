/// A channel of this process whose messages are handed over as they come, instead of being waited for one by one: a gateway
/// has one for each browser that a worker answers.
public protocol Inbox: Sendable {
    /// Whom others send to. Valid in groups too.
    var channel: ChannelName { get }

    /// Ends it. No call to the listener begins, or goes on, after this returns. Not to be called from inside one.
    func close()
}

/// Hears the messages of one inbox. Calls come in the order the messages were sent, from any thread, and must not block.
public protocol InboxListener: Sendable {
    func arrived(_ message: LayerMessage)
}

extension ChannelLayer {
    /// Only layers that share normal channels with workers have inboxes.
    public func openInbox(_ listener: any InboxListener) -> (any Inbox)? { nil }
}

/// Carries messages between processes.
///
/// At most once: a message may be lost, and is never delivered twice or to two readers.
/// In order: one sender's messages to one channel, or to one group, arrive in the order they were sent.
/// Nothing is lost in silence: what is dropped is counted (`LayerObserver`) and logged at a bounded rate.
///
/// Three kinds of callers are served: `async` code awaits; event loops and plain threads use the `submit` forms,
/// which take the message at once, in the order of the calls, and tell the outcome later; a gateway follows groups
/// through a `GroupFeed`.
///
/// Model: the Channels layer specification, with the promises of `centrifuge`'s broker interface.
public protocol ChannelLayer: Sendable {
    /// Puts `message` at the end of `channel`.
    ///
    /// - Throws: `channelFull` at capacity, at once, without waiting for room; `unavailable` if the broker cannot be
    ///   reached; `invalidMessage` if it carries a reserved key or something that has no carried form.
    func send(_ message: LayerMessage, to channel: ChannelName) async throws(LayerError)

    /// Puts `message` at the end of every channel in `group`, and hands it to every feed that follows the group.
    /// Full channels are skipped and counted; a group without members is no error.
    func send(_ message: LayerMessage, toGroup group: GroupName) async throws(LayerError)

    /// Waits for the next message of `channel` and takes it. Cancelling the task ends the wait without losing a message.
    ///
    /// - Throws: `closed` when the layer was closed; `cancelled`; `unavailable` when the broker was lost while waiting.
    func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage

    /// A fresh process-specific name, `<prefix>.<process>!<local>`, that only this process will read.
    func newChannel(prefix: String) async throws(LayerError) -> ChannelName

    /// Makes `channel` a member of `group` until it is discarded or `groupExpiry` has passed. Idempotent.
    func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError)

    /// Ends a membership. No error when there is none.
    func groupDiscard(_ group: GroupName, _ channel: ChannelName) async throws(LayerError)

    /// Forgets every message, every channel's membership, and what is kept of groups. Readers go on waiting, feeds go on following.
    func flush() async throws(LayerError)

    /// Ends all waits with `closed` and releases what the layer holds. Idempotent.
    func close() async

    /// `send(_:to:)` for callers that cannot await. Takes the message at once, keeps the order of calls.
    ///
    /// - Parameter completion: called once, on any thread, perhaps before this returns; `nil` for fire and forget (a
    ///   failure is still counted).
    func submit(
        _ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?)

    /// `send(_:toGroup:)` for callers that cannot await: event loops and worker threads. As the other `submit`.
    func submit(
        _ message: LayerMessage, toGroup group: GroupName, completion: (@Sendable (LayerError?) -> Void)?)

    /// What the layer keeps of groups: history and presence; `nil` when it keeps nothing.
    var store: (any GroupStore)? { get }

    /// Opens a feed for one gateway: all groups its browsers follow, over one membership each.
    func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed

    /// Opens a channel whose messages are handed to `listener` as they come.
    ///
    /// - Returns: `nil` when the layer has no normal channels that workers in other processes read.
    func openInbox(_ listener: any InboxListener) -> (any Inbox)?
}

/// The groups one gateway follows, each once, whatever number of its browsers want it.
public protocol GroupFeed: Sendable {
    /// Starts to follow `group`. Idempotent.
    ///
    /// - Parameter ready: called once, on any thread, perhaps before this returns. Without an error, every message sent
    ///   from then on is heard.
    func follow(_ group: GroupName, ready: @escaping @Sendable (LayerError?) -> Void)

    /// Stops to follow `group`. A message already on its way may still arrive.
    func unfollow(_ group: GroupName)

    /// Stops everything. No call to the listener begins, or goes on, after this returns.
    ///
    /// Waits for calls that are under way. So it must not be called from inside one, nor while a lock is held that the
    /// listener takes.
    func close()
}

/// What a gateway hears from its feed. Calls come one sender's messages in order, from any thread, and must not block.
public protocol GroupFeedListener: Sendable {
    /// A message sent to a followed group. Never twice.
    func arrived(_ message: LayerMessage, in group: GroupName)

    /// The broker was lost: from now on messages may be missed, until `feedRestored`.
    func feedInterrupted(_ reason: LayerError)

    /// Every group is followed again. Whoever must not miss anything loads its state anew.
    func feedRestored()
}

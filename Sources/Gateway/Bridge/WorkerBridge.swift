import ChannelLayer
import NIOCore

/// Hands what one browser does to an unmodified `runworker`, and does what that answers.
///
///     websocket.connect      when the browser was let in: who it is, and the reply channel
///     websocket.receive      each of its messages
///     websocket.disconnect   when it has gone
///
/// All go to the one channel of the route. Answers come to the reply channel, which the worker may also put into groups.
/// The gateway's own checks have let the browser in before, so that a worker's `websocket.accept` says nothing new, and its
/// refusal is a close.
///
/// `@unchecked Sendable`: what varies is touched on the session's event loop only.
final class WorkerBridge: InboxListener, @unchecked Sendable {
    private let worker: ChannelName
    private let layer: any ChannelLayer
    private let loop: any EventLoop
    private let path: String
    /// Until the connection ends.
    private var session: Session?
    private var inbox: (any Inbox)?
    private var order: Int64 = 0

    /// - Returns: `nil` for a route that hands nothing to workers, and for a layer that has no way to them.
    static func open(for session: Session) -> WorkerBridge? {
        guard case .layer(let worker) = session.info.plan.receiver, let handshake = session.info.handshake else {
            return nil
        }
        let bridge = WorkerBridge(to: worker, handshake, session)
        guard let inbox = session.context.layer.openInbox(bridge) else { return nil }
        bridge.inbox = inbox
        bridge.tell(WorkerEvent.connect(handshake))
        return bridge
    }

    private init(to worker: ChannelName, _ handshake: Handshake, _ session: Session) {
        self.worker = worker
        self.layer = session.context.layer
        self.loop = session.shard.eventLoop
        self.path = WorkerEvent.path(of: handshake)
        self.session = session
    }

    // MARK: To the worker

    func received(_ message: BrowserMessage) { self.tell(WorkerEvent.receive(message, path: self.path)) }

    func closed(_ code: CloseCode) {
        self.session = nil
        self.tell(WorkerEvent.disconnect(code, path: self.path))
        // Waits for a call under way in the layer, which only hops to this loop.
        self.inbox?.close()
        self.inbox = nil
    }

    private func tell(_ event: LayerMessage) {
        guard let inbox = self.inbox else { return }
        var event = event
        event.entries.append(.init(key: .string("reply_channel"), value: .string(inbox.channel.text)))
        event.entries.append(.init(key: .string("order"), value: .int(self.order)))
        self.order += 1
        self.layer.submit(event, to: self.worker) { [weak self] error in
            guard let error, let self else { return }
            self.loop.execute { self.failed(error) }
        }
    }

    /// The workers do not keep up, or the layer is away: the browser comes back later, rather than being heard in part.
    private func failed(_ error: LayerError) {
        guard let session = self.session else { return }
        session.context.log.log(.warning, "Workers were not told of a browser", metadata: ["error": "\(error)"])
        session.sendAway(.tryAgainLater, reason: "busy")
    }

    // MARK: From the worker

    func arrived(_ message: LayerMessage) { self.loop.execute { self.answered(message) } }

    private func answered(_ message: LayerMessage) {
        guard let session = self.session else { return }
        for outcome in WorkerAnswer.outcomes(of: message, by: session.info.route.configuration.rules) {
            if case .drop(let reason) = outcome {
                session.context.metrics.dropped(reason)
            } else {
                session.say(outcome)
            }
        }
    }
}

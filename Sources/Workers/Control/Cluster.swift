import ChannelLayer
import Logging
import NIOCore
import Telemetry

/// The gateways of a site, as a worker reaches them: over the layer's group `carillon.control`, wherever they are.
final class Cluster: Sendable {
    private let layer: any ChannelLayer
    private let logger: Logger
    private let ears: ClusterEars
    private let feed: any GroupFeed
    private let receiving: Task<Void, Never>

    /// Begins to listen.
    init(layer: any ChannelLayer, logger: Logger) {
        self.layer = layer
        self.logger = logger
        let ears = ClusterEars(layer: layer)
        self.ears = ears
        let feed = layer.openFeed(ears)
        self.feed = feed
        // No child of anything: it lasts as long as the object, which pool threads use.
        self.receiving = Task { await ears.listen(by: feed) }
    }

    deinit {
        self.receiving.cancel()
        self.feed.close()
    }

    // MARK: Commands

    /// Sends a command to all gateways.
    ///
    /// - Returns: what waits until the layer has taken it.
    func tell(_ command: ControlCommand, until deadline: NIODeadline) -> () -> LayerError? {
        let outcome = Monitor<Result<Void, LayerError>?>(nil)
        self.layer.submit(ControlMessage.command(command).message, toGroup: ControlMessage.group) { error in
            outcome.signal { $0 = error.map(Result.failure) ?? .success(()) }
        }
        return {
            switch outcome.wait(until: deadline, for: { $0 }) {
            case .success?: nil
            case .failure(let error)?: error
            case nil: LayerError(.unavailable, "the layer did not take a command in time")
            }
        }
    }

    // MARK: Questions

    /// Asks every gateway.
    ///
    /// - Returns: what waits for the answers of all that are known to be there, and gives them by the gateways' uids;
    ///   after the deadline those that have come, and `nil` when the question could not be asked.
    func ask(_ question: SurveyQuestion, until deadline: NIODeadline) -> () -> [String: SurveyAnswer]? {
        let state = self.ears.state
        guard let channel = state.wait(until: deadline, for: { $0.channel }),
            let id = state.withLock({ $0.beginSurvey(now: .now()) })
        else { return { nil } }
        let message = ControlMessage.ask(id: id, replyTo: channel, question).message
        self.layer.submit(message, toGroup: ControlMessage.group) { error in
            if error != nil { state.broadcast { $0.failSurvey(id) } }
        }
        return {
            // Until it is known who is there, nobody signals that all have answered.
            while let settles = state.withLock({ $0.knowsAllFrom }), settles > .now(), deadline > .now() {
                _ = state.wait(until: min(settles, deadline)) { _ -> Void? in nil }
            }
            _ = state.wait(until: deadline) { $0.isComplete(id, now: .now()) ? () : nil }
            guard let (answers, silent) = state.withLock({ $0.endSurvey(id) }) else { return nil }
            if !silent.isEmpty {
                self.logger.warning(
                    "Gateways did not answer in time",
                    metadata: ["nodes": "\(silent.map(\.name).sorted().prefix(20).joined(separator: " "))"])
            }
            return answers
        }
    }
}

/// What hears gateways: their announcements in the group, and their answers in a channel of this process.
private final class ClusterEars: GroupFeedListener {
    let state = Monitor(ClusterState())
    private let layer: any ChannelLayer

    init(layer: any ChannelLayer) { self.layer = layer }

    func arrived(_ message: LayerMessage, in group: GroupName) {
        if let message = ControlMessage(message) { self.heard(message) }
    }

    func feedInterrupted(_ reason: LayerError) {}

    func feedRestored() { self.askWhoIsThere() }

    private func heard(_ message: ControlMessage) {
        let now = NIODeadline.now()
        let matters = self.state.withLock { $0.heard(message, now: now) }
        if matters { self.state.broadcast { _ in } }
    }

    /// Hears announcements and reads answers until the layer is closed or the task is cancelled.
    func listen(by feed: any GroupFeed) async {
        var failures = 0
        while !Task.isCancelled {
            do throws(LayerError) {
                let error = await withCheckedContinuation { ready in
                    feed.follow(ControlMessage.group) { ready.resume(returning: $0) }
                }
                if let error { throw error }
                let channel = try await self.layer.newChannel(prefix: "carillon.worker")
                self.state.broadcast { $0.opened(channel, now: .now()) }
                self.askWhoIsThere()
                while true {
                    let message = try await self.layer.receive(from: channel)
                    failures = 0
                    if let message = ControlMessage(message), case .answer = message { self.heard(message) }
                }
            } catch {
                self.state.broadcast { $0.closed() }
                if [.closed, .cancelled, .unsupported].contains(error.code) { return }
                failures += 1
                try? await Task.sleep(for: Backoff().delay(after: failures, random: .random(in: 0...1)))
            }
        }
    }

    /// The answers tell who is there, whoever waits for them.
    private func askWhoIsThere() {
        guard let channel = self.state.withLock({ $0.channel }) else { return }
        self.layer.submit(
            ControlMessage.ask(id: 0, replyTo: channel, .node).message, toGroup: ControlMessage.group, completion: nil)
    }
}

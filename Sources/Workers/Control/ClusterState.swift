import ChannelLayer
import NIOCore

/// What a worker knows of the gateways, and the questions it waits for answers to. A value: the time comes in.
struct ClusterState: Sendable {
    /// Questions at once at most.
    static let surveyLimit = 1_000
    /// After it began to listen a worker waits so long before it believes that it has heard of every gateway.
    static let settleTime = TimeAmount.milliseconds(500)

    private struct Survey {
        var answers: [String: SurveyAnswer] = [:]
        var hasFailed = false
    }

    private var nodes = NodeDirectory()
    private var surveys: [UInt64: Survey] = [:]
    /// Where answers come; `nil` until the layer has given it.
    private(set) var channel: ChannelName?
    private var settles: NIODeadline?

    // MARK: What is heard

    /// From now on announcements and answers are heard.
    mutating func opened(_ channel: ChannelName, now: NIODeadline) {
        self.channel = channel
        self.settles = now + Self.settleTime
    }

    mutating func closed() {
        self.channel = nil
        self.settles = nil
    }

    /// - Returns: whether it may change what somebody waits for.
    mutating func heard(_ message: ControlMessage, now: NIODeadline) -> Bool {
        switch message {
        case .announce(let state): self.nodes.heard(state, now: now)
        case .leave(let node): self.nodes.left(node)
        case .answer(let id, let node, let answer):
            if case .node(let state) = answer, state.uid == node { self.nodes.heard(state, now: now) }
            guard self.surveys[id] != nil, self.surveys[id]?.answers.count ?? 0 < NodeDirectory.limit else {
                return false
            }
            self.surveys[id]?.answers[node] = answer
        case .command, .ask: return false
        }
        return true
    }

    // MARK: Surveys

    /// - Returns: `nil` when too many are under way.
    mutating func beginSurvey(now: NIODeadline) -> UInt64? {
        guard self.surveys.count < Self.surveyLimit else { return nil }
        self.nodes.forget(before: now)
        let id = UInt64.random(in: 1 ... .max)
        self.surveys[id] = Survey()
        return id
    }

    mutating func failSurvey(_ id: UInt64) { self.surveys[id]?.hasFailed = true }

    /// When it is known which gateways there are; `nil` while the layer is away.
    var knowsAllFrom: NIODeadline? { self.settles }

    /// Whether nothing more is to be waited for.
    func isComplete(_ id: UInt64, now: NIODeadline) -> Bool {
        guard let survey = self.surveys[id], !survey.hasFailed else { return true }
        guard let settles, settles <= now else { return false }
        return self.nodes.all.allSatisfy { survey.answers[$0.uid] != nil }
    }

    /// Ends a survey.
    ///
    /// - Returns: what was answered, by the nodes' uids, and which known nodes did not answer; `nil` when it could not be
    ///   asked.
    mutating func endSurvey(_ id: UInt64) -> (answers: [String: SurveyAnswer], silent: [NodeState])? {
        guard let survey = self.surveys.removeValue(forKey: id), !survey.hasFailed else { return nil }
        let silent = self.nodes.all.filter { survey.answers[$0.uid] == nil }
        return (survey.answers, silent)
    }
}

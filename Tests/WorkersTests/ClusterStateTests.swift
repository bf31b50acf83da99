import ChannelLayer
import NIOCore
import Testing

@testable import Workers

@Suite struct ClusterStateTests {
    private let channel = ChannelName(unchecked: "worker.x!1")
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private var later: NIODeadline { self.start + ClusterState.settleTime }

    private func node(_ uid: String) -> NodeState { NodeState(uid: uid, name: uid, version: "1") }

    /// One that listens, and has heard of some gateways.
    private func state(knowing uids: String...) -> ClusterState {
        var state = ClusterState()
        state.opened(self.channel, now: self.start)
        for uid in uids { _ = state.heard(.announce(self.node(uid)), now: self.start) }
        return state
    }

    @Test func aSurveyWaitsForEveryGatewayThatIsKnown() throws {
        var state = self.state(knowing: "a", "b")
        let begun = state.beginSurvey(now: self.later)
        let id = try #require(begun)
        #expect(!state.isComplete(id, now: self.later))
        let first = state.heard(.answer(id: id, node: "a", .channels(["x": 1])), now: self.later)
        #expect(first && !state.isComplete(id, now: self.later))
        let second = state.heard(.answer(id: id, node: "b", .channels(["x": 2])), now: self.later)
        #expect(second && state.isComplete(id, now: self.later))
        let outcome = state.endSurvey(id)
        #expect(outcome?.answers == ["a": .channels(["x": 1]), "b": .channels(["x": 2])])
        #expect(outcome?.silent.isEmpty == true)
        let third = state.heard(.answer(id: id, node: "a", .channels([:])), now: self.later)
        #expect(!third, "it is over")
    }

    @Test func whoeverHasLeftOrWasSilentForLongIsNotWaitedFor() throws {
        var state = self.state(knowing: "left", "silent")
        _ = state.heard(.leave(node: "left"), now: self.start)
        var begun = state.beginSurvey(now: self.later)
        var id = try #require(begun)
        #expect(!state.isComplete(id, now: self.later))
        let outcome = state.endSurvey(id)
        #expect(outcome?.silent.map(\.uid) == ["silent"])
        let end = self.start + NodeDirectory.expiry
        begun = state.beginSurvey(now: end)
        id = try #require(begun)
        #expect(state.isComplete(id, now: end))
    }

    @Test func untilItKnowsWhoIsThereNoSurveyIsComplete() throws {
        var state = self.state()
        let begun = state.beginSurvey(now: self.start)
        let id = try #require(begun)
        #expect(!state.isComplete(id, now: self.start))
        #expect(state.isComplete(id, now: self.later))
        state.closed()
        #expect(state.knowsAllFrom == nil && state.channel == nil)
    }

    @Test func anAnswerAboutItselfIsAnAnnouncement() throws {
        var state = self.state()
        _ = state.heard(.answer(id: 0, node: "a", .node(self.node("a"))), now: self.start)
        _ = state.heard(.answer(id: 0, node: "b", .node(self.node("somebody else"))), now: self.start)
        let begun = state.beginSurvey(now: self.start)
        let outcome = state.endSurvey(try #require(begun))
        #expect(outcome?.silent.map(\.uid) == ["a"])
    }

    @Test func aQuestionThatCannotBeAskedEndsWithoutAnswers() throws {
        var state = self.state()
        let begun = state.beginSurvey(now: self.start)
        let id = try #require(begun)
        state.failSurvey(id)
        #expect(state.isComplete(id, now: self.start))
        let outcome = state.endSurvey(id)
        #expect(outcome == nil)
    }

    @Test func floodsAreBounded() {
        var state = self.state()
        for number in 0..<(NodeDirectory.limit + 100) {
            _ = state.heard(.announce(self.node("\(number)")), now: self.start)
        }
        var last: UInt64?
        for _ in 0...ClusterState.surveyLimit { last = state.beginSurvey(now: self.start) }
        #expect(last == nil)
    }
}

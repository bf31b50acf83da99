import ChannelLayer
import NIOCore
import TestSupport
import Testing

@Suite struct HistoryStateTests {
    private func message(_ number: Int) -> LayerMessage { ["number": .int(Int64(number))] }

    private let options = HistoryOptions(size: 3, timeToLive: .seconds(60), metaTimeToLive: .seconds(600))

    @Test func theSameCallsGiveTheSamePositions() throws {
        var first = HistoryState(epoch: "same")
        var second = HistoryState(epoch: "same")
        let group = try GroupName("group")
        for number in 1...5 {
            let time = Duration.seconds(number)
            let one = first.publish(self.message(number), toGroup: group, keeping: self.options, at: time)
            let two = second.publish(self.message(number), toGroup: group, keeping: self.options, at: time)
            #expect(one.result == two.result)
            #expect(one.message == two.message)
        }
        let page = first.page(of: group, .everything, at: .seconds(9))
        #expect(page == second.page(of: group, .everything, at: .seconds(9)))
        #expect(page.top == StreamPosition(offset: 5, epoch: "same"))
    }

    @Test func streamsNobodyUsesGoInTimeWhileOthersPublish() throws {
        var state = HistoryState()
        for number in 0..<100 {
            let group = try GroupName("old.\(number)")
            _ = state.publish(self.message(number), toGroup: group, keeping: self.options, at: .zero)
        }
        #expect(state.count == 100)
        let live = try GroupName("live")
        for number in 0..<51 {
            _ = state.publish(self.message(number), toGroup: live, keeping: self.options, at: .seconds(601))
        }
        #expect(state.count == 1)
    }

    @Test func keysNobodyNeedsAnyMoreGo() throws {
        var state = HistoryState()
        let group = try GroupName("group")
        var options = HistoryOptions(size: 0, timeToLive: .zero)
        options.idempotencyKey = "key"
        _ = state.publish(self.message(1), toGroup: group, keeping: options, at: .zero)
        #expect(state.count == 1)
        _ = state.page(of: group, .position, at: .seconds(301))
        #expect(state.count == 0)
    }

    @Test func looksAtGroupsWithoutPublicationsCostNothing() throws {
        var state = HistoryState()
        for number in 0..<100 { _ = state.page(of: try GroupName("asked.\(number)"), .everything, at: .zero) }
        #expect(state.count == 0)
    }

    @Test func aLookKeepsThePositionKnown() throws {
        var state = HistoryState()
        let group = try GroupName("group")
        let position = state.publish(self.message(1), toGroup: group, keeping: self.options, at: .zero).result.position
        let query = HistoryQuery(limit: 0, metaTimeToLive: .seconds(600))
        #expect(state.page(of: group, query, at: .seconds(500)).top == position)
        #expect(state.page(of: group, query, at: .seconds(1_000)).top == position)
        #expect(state.page(of: group, query, at: .seconds(1_601)).top.epoch != position.epoch)
    }

    @Test func aForgottenPositionGivesNoEpochTwice() throws {
        var state = HistoryState()
        var epochs: Set<String> = []
        for number in 0..<5 {
            let now = Duration.seconds(601 * number)
            let result = state.publish(
                self.message(number), toGroup: try GroupName("group"), keeping: self.options, at: now
            ).result
            #expect(result.position.offset == 1)
            epochs.insert(result.position.epoch)
        }
        #expect(epochs.count == 5)
    }

    @Test func presenceLeavesNothingBehind() throws {
        var state = PresenceState()
        for number in 0..<10 {
            let presence = Presence(client: "c", user: "u", info: ByteBuffer())
            state.add(presence, in: try GroupName("group.\(number)"))
        }
        #expect(state.count == 10)
        for number in 0..<10 { state.remove("c", from: try GroupName("group.\(number)")) }
        #expect(state.count == 0)
    }
}

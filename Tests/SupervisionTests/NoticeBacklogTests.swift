import Supervision
import Testing

@Suite struct NoticeBacklogTests {
    @Test func whileTheLayerTakesThemEveryChangeIsKeptInOrder() throws {
        var backlog = NoticeBacklog()
        for state in ["STARTING", "RUNNING", "EXITED"] { backlog.add(try notice("a", state)) }
        for state in ["STARTING", "RUNNING", "EXITED"] { #expect(backlog.take()?.state == state) }
        #expect(backlog.take() == nil)
    }

    @Test func whileItIsAwayTheNewestOfEachProcessIsKept() throws {
        var backlog = NoticeBacklog()
        backlog.add(try notice("a", "STARTING"))
        backlog.add(try notice("b", "STARTING"))
        let oldest = backlog.take()
        let first = try #require(oldest)
        backlog.failed(first)
        for state in ["RUNNING", "EXITED", "STARTING", "RUNNING"] { backlog.add(try notice("a", state)) }
        #expect(backlog.isAway)
        #expect(backlog.waiting.map(\.state) == ["STARTING", "RUNNING"])
        #expect(backlog.waiting.map(\.subject) == [.process(group: "g", name: "b"), .process(group: "g", name: "a")])
        #expect(backlog.folded == 4)
        backlog.sent()
        #expect(!backlog.isAway)
    }

    @Test func aSlowLayerDoesNotMakeItGrow() throws {
        var backlog = NoticeBacklog()
        for index in 0..<5_000 {
            backlog.add(try notice("p\(index % 10)", index.isMultiple(of: 2) ? "RUNNING" : "EXITED"))
        }
        #expect(backlog.waiting.count <= 1_024)
    }
}

/// A change of the process `g:name`.
private func notice(_ name: String, _ state: String) throws -> Notice {
    var dialogue = ListenerDialogue()
    let payload = "processname:\(name) groupname:g from_state:UNKNOWN"
    dialogue.receive(
        .init(
            string: "server:lab serial:1 poolserial:1 eventname:PROCESS_STATE_\(state) len:\(payload.count)\n\(payload)"
        ))
    let event = try #require(try dialogue.next())
    guard case .process(let change) = event.kind else { throw Unexpected() }
    return Notice(.process(change), header: event.header, time: 1)
}

private struct Unexpected: Error {}

extension Notice {
    fileprivate var state: String {
        guard case .process(let change) = self.change else { return "" }
        return change.to
    }
}

import NIOCore
import Testing

@testable import Router

@Suite struct WaitingRoomTests {
    private func visitor(_ descriptor: CInt, _ nanoseconds: UInt64 = 0) -> Visitor {
        Visitor(descriptor: descriptor, peer: .unix, deadline: .uptimeNanoseconds(nanoseconds))
    }

    @Test func theOldestIsTheFirstToLeave() {
        var room = WaitingRoom()
        for number in 0..<100 { room.enter(self.visitor(CInt(number * 7), UInt64(number))) }
        #expect(room.count == 100)
        for number in 0..<100 {
            #expect(room.earliestDeadline == .uptimeNanoseconds(UInt64(number)))
            #expect(room.leave(room.oldest)?.descriptor == CInt(number * 7))
        }
        #expect(room.oldest == -1)
        #expect(room.earliestDeadline == nil)
        #expect(room.leave(room.oldest) == nil)
    }

    @Test func anybodyMayLeaveFromTheMiddle() {
        var room = WaitingRoom()
        for number in 1...5 { room.enter(self.visitor(CInt(number), UInt64(number))) }
        #expect(room.leave(3)?.descriptor == 3)
        #expect(room.leave(3) == nil)
        #expect(room.leave(5)?.descriptor == 5)
        #expect(room.leave(1)?.descriptor == 1)
        room.enter(self.visitor(3, 9))
        #expect(
            [room.leave(room.oldest), room.leave(room.oldest), room.leave(room.oldest)].map { $0?.descriptor } == [
                2, 4, 3,
            ])
        #expect(room.count == 0)
    }

    @Test func whoEntersTwiceWaitsOnce() {
        var room = WaitingRoom()
        room.enter(self.visitor(4, 1))
        room.enter(self.visitor(4, 2))
        #expect(room.count == 1)
        #expect(room.leave(4)?.deadline == .uptimeNanoseconds(2))
    }

    @Test func strangersAreNotThere() {
        var room = WaitingRoom()
        #expect(room.leave(-1) == nil)
        #expect(room.leave(100_000) == nil)
        room.enter(self.visitor(-1))
        #expect(room.count == 0)
    }
}

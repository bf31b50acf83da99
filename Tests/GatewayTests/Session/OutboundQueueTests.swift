import NIOCore
import Testing

@testable import Gateway

private let four = ByteBuffer(string: "four")

@Suite struct OutboundQueueTests {
    @Test func aWritableQueueHandsOnAtOnce() {
        var queue = OutboundQueue.writable
        #expect(queue.offer(four, limit: 8) == .write(four))
        #expect(queue.waitingBytes == 0)
    }

    @Test func whatWaitsGoesOutInOrder() {
        var queue = OutboundQueue.writable
        queue.wroteInPart(remaining: 3)
        #expect(queue.offer(four, limit: 100) == .none)
        #expect(queue.offer(ByteBuffer(string: "seven!!"), limit: 100) == .none)
        #expect(queue.waitingBytes == 14)
        #expect(queue.drained(3) == .write(four))
        queue.wroteInPart(remaining: 4)
        #expect(queue.drained(4) == .write(ByteBuffer(string: "seven!!")))
        queue.wroteInPart(remaining: 7)
        #expect(queue.drained(7) == .none)
        #expect(queue.offer(four, limit: 8) == .write(four))
    }

    @Test func overTheLimitTheConnectionIsSlow() {
        var queue = OutboundQueue.writable
        queue.wroteInPart(remaining: 6)
        #expect(queue.offer(four, limit: 8) == .closeSlow(waitingBytes: 10))
        queue.dropWaiting()
        #expect(queue.waitingBytes == 6)
        #expect(queue.offer(four, limit: .max) == .none)
        #expect(queue.drained(6) == .write(four))
    }

    @Test func aClosedQueueDropsAll() {
        var queue = OutboundQueue.writable
        queue.wroteInPart(remaining: 6)
        queue.close()
        #expect(queue.offer(four, limit: 8) == .none)
        #expect(queue.drained(6) == .none)
        #expect(queue.waitingBytes == 0)
    }
}

private final class Alarm: WheelEntry {
    var wheelPlace: TimerWheel<Alarm>.Place?
}

@Suite struct TimerWheelTests {
    @Test func wakesAtItsSecondOnly() {
        var wheel = TimerWheel<Alarm>(seconds: 8)
        let (one, three, moved, removed) = (Alarm(), Alarm(), Alarm(), Alarm())
        wheel.set(one, after: 1)
        wheel.set(three, after: 3)
        wheel.set(moved, after: 1)
        wheel.set(removed, after: 1)
        wheel.set(moved, after: 3)
        wheel.remove(removed)
        #expect(wheel.tick().map(ObjectIdentifier.init) == [ObjectIdentifier(one)])
        #expect(wheel.tick().isEmpty)
        #expect(Set(wheel.tick().map(ObjectIdentifier.init)) == [ObjectIdentifier(three), ObjectIdentifier(moved)])
        for _ in 0..<20 { #expect(wheel.tick().isEmpty) }
    }

    @Test(arguments: [1, 7, 8, 9, 16, 17, 1000])
    func aTimeBeyondTheWheelIsWaitedForInRounds(_ seconds: Int) {
        var wheel = TimerWheel<Alarm>(seconds: 8)
        for _ in 0..<3 { _ = wheel.tick() }
        let (alarm, gone) = (Alarm(), Alarm())
        let others = [8, 16, 1000].map { _ in Alarm() }
        for (other, rounds) in zip(others, [8, 16, 1000]) { wheel.set(other, after: seconds + rounds) }
        wheel.set(gone, after: seconds)
        wheel.set(alarm, after: seconds)
        wheel.remove(gone)
        for _ in 1..<seconds { #expect(wheel.tick().isEmpty) }
        #expect(wheel.tick().map(ObjectIdentifier.init) == [ObjectIdentifier(alarm)])
        // Those that stayed behind in its slot are found and taken out as before.
        wheel.remove(others[0])
        for _ in 1..<16 { #expect(wheel.tick().isEmpty) }
        #expect(wheel.tick().map(ObjectIdentifier.init) == [ObjectIdentifier(others[1])])
    }
}

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

    @Test func aTimeBeyondTheWheelIsCutToIt() {
        var wheel = TimerWheel<Alarm>(seconds: 8)
        wheel.set(Alarm(), after: 1000)
        for _ in 0..<6 { #expect(wheel.tick().isEmpty) }
        #expect(wheel.tick().count == 1)
    }
}

import NIOCore
import Testing

@testable import Gateway

/// What slow readers of channels get when not everything.
@Suite struct OutboundYieldingTests {
    private func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    /// What is written when the socket takes all that waits.
    private func drain(_ queue: inout OutboundQueue, first: Int) -> String {
        var text = ""
        var count = first
        while case .write(let bytes) = queue.drained(count) {
            text += String(buffer: bytes) + " "
            count = 0
            queue.wroteInPart(remaining: 0)
        }
        return text
    }

    private func full() -> OutboundQueue {
        var queue = OutboundQueue.writable
        queue.wroteInPart(remaining: 4)
        return queue
    }

    @Test func theNewestTakesThePlaceOfAnOlderOne() {
        var queue = self.full()
        #expect(queue.offer(self.bytes("a1"), limit: 100, yielding: .toNewer(mark: 1)) == .none)
        #expect(queue.offer(self.bytes("b1"), limit: 100, yielding: .toNewer(mark: 2)) == .none)
        #expect(queue.offer(self.bytes("reply"), limit: 100) == .none)
        #expect(queue.offer(self.bytes("a2!"), limit: 100, yielding: .toNewer(mark: 1)) == .dropped(1))
        #expect(queue.offer(self.bytes("b2"), limit: 100, yielding: .toNewer(mark: 2)) == .dropped(1))
        #expect(queue.waitingBytes == 4 + 3 + 2 + 5)
        #expect(self.drain(&queue, first: 4) == "a2! b2 reply ")
        #expect(queue.waitingBytes == 0)
    }

    @Test func theOldestMakesRoom() {
        var queue = self.full()
        #expect(queue.offer(self.bytes("1"), limit: 7, yielding: .toRoom) == .none)
        #expect(queue.offer(self.bytes("r"), limit: 7) == .none)
        #expect(queue.offer(self.bytes("2"), limit: 7, yielding: .toRoom) == .none)
        #expect(queue.offer(self.bytes("3"), limit: 7, yielding: .toRoom) == .dropped(1))
        #expect(queue.offer(self.bytes("45"), limit: 7, yielding: .toRoom) == .dropped(2))
        #expect(self.drain(&queue, first: 4) == "r 45 ")
    }

    /// What may not be dropped still closes who does not read it.
    @Test func repliesAreNotDropped() {
        var queue = self.full()
        _ = queue.offer(self.bytes("1"), limit: 6, yielding: .toRoom)
        #expect(queue.offer(self.bytes("22"), limit: 6) == .closeSlow(waitingBytes: 7))
        var other = self.full()
        #expect(other.offer(self.bytes("123"), limit: 6, yielding: .toNewer(mark: 1)) == .closeSlow(waitingBytes: 7))
    }
}

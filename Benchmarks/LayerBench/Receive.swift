import ChannelLayer
import Synchronization

/// Counts what arrives in `group` until there are `messages`, or nothing more has come for five seconds.
func receive(_ messages: Int, from group: GroupName, over layer: any ChannelLayer) async {
    let counter = Counter()
    let feed = layer.openFeed(counter)
    let error = await withCheckedContinuation { continuation in
        feed.follow(group) { continuation.resume(returning: $0) }
    }
    if let error { fail("\(error)") }
    let before = processTime()
    report("ready")
    var seen = (count: 0, silence: 0)
    while seen.count < messages {
        try? await Task.sleep(for: .milliseconds(20))
        let count = counter.count.load(ordering: .relaxed)
        seen = (count, count == seen.count && count > 0 ? seen.silence + 1 : 0)
        if seen.silence > 250 { break }
    }
    let (first, last) = counter.times.withLock { $0 }
    report(
        #"{"first":\#(first),"last":\#(last),"count":\#(counter.count.load(ordering: .relaxed)),"#
            + #""gaps":\#(counter.gaps.load(ordering: .relaxed)),"cpu":\#(Double(processTime() - before) / 1e9)}"#)
}

private final class Counter: GroupFeedListener {
    let count = Atomic<Int>(0)
    let gaps = Atomic<Int>(0)
    let times = Mutex<(first: UInt64, last: UInt64)>((0, 0))

    func arrived(_ message: LayerMessage, in group: GroupName) {
        let now = monotonic()
        self.times.withLock { times in
            if times.first == 0 { times.first = now }
            times.last = now
        }
        // Counted last: who sees the number may read the times.
        self.count.wrappingAdd(1, ordering: .releasing)
    }

    func feedInterrupted(_ reason: LayerError) { self.gaps.wrappingAdd(1, ordering: .relaxed) }
    func feedRestored() {}
}

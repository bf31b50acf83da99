import ChannelLayer
import Synchronization

/// Sends `messages` to `group`, `window` of them under way at a time: the next is sent when one is done.
func send(_ messages: Int, to group: GroupName, over layer: any ChannelLayer, window: Int) async {
    // The connection is made with the first message, which the receiver counts as well.
    if let error = await outcome(of: layer, group) { fail("\(error)") }
    let before = processTime()
    let sender = Sender(layer, group, messages - 1)
    let first = monotonic()
    await withCheckedContinuation { continuation in sender.start(window: window) { continuation.resume() } }
    report(
        #"{"first":\#(first),"last":\#(monotonic()),"cpu":\#(Double(processTime() - before) / 1e9)}"#)
}

private func outcome(of layer: any ChannelLayer, _ group: GroupName) async -> LayerError? {
    await withCheckedContinuation { continuation in
        layer.submit(sample, toGroup: group) { continuation.resume(returning: $0) }
    }
}

private final class Sender: Sendable {
    private let layer: any ChannelLayer
    private let group: GroupName
    private let messages: Int
    private let sent = Atomic<Int>(0)
    private let done = Atomic<Int>(0)
    private let finished = Mutex<(@Sendable () -> Void)?>(nil)

    init(_ layer: any ChannelLayer, _ group: GroupName, _ messages: Int) {
        self.layer = layer
        self.group = group
        self.messages = messages
    }

    func start(window: Int, finished: @escaping @Sendable () -> Void) {
        self.finished.withLock { $0 = finished }
        for _ in 0..<min(window, self.messages) { self.sendNext() }
    }

    private func sendNext() {
        guard self.sent.wrappingAdd(1, ordering: .relaxed).newValue <= self.messages else { return }
        self.layer.submit(sample, toGroup: self.group) { error in
            if let error { fail("\(error)") }
            let isLast = self.done.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == self.messages
            if isLast { self.finished.withLock { $0 }?() } else { self.sendNext() }
        }
    }
}

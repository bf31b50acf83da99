import ChannelLayer
import Synchronization

/// Begins to send one message, and tells how that ended.
typealias Sending = @Sendable (@escaping @Sendable (LayerError?) -> Void) -> Void

/// Sends `messages` to `group`, `window` of them under way at a time: the next is sent when one is done.
func send(_ messages: Int, to group: GroupName, over layer: any ChannelLayer, window: Int) async {
    await send(messages, window: window) { layer.submit(sample, toGroup: group, completion: $0) }
}

/// The same with publications of which a history is kept.
func publish(_ messages: Int, to group: GroupName, over layer: any ChannelLayer, window: Int) async {
    guard let store = layer.store else { fail("this layer keeps nothing") }
    let options = HistoryOptions(size: 100, timeToLive: .seconds(300))
    await send(messages, window: window) { completion in
        store.publish(sample, toGroup: group, keeping: options) { result in
            if case .failure(let error) = result { completion(error) } else { completion(nil) }
        }
    }
}

private func send(_ messages: Int, window: Int, one: @escaping Sending) async {
    // The connection is made with the first message, which the receiver counts as well.
    let error: LayerError? = await withCheckedContinuation { done in one { done.resume(returning: $0) } }
    if let error { fail("\(error)") }
    let before = processTime()
    let sender = Sender(messages - 1, one)
    let first = monotonic()
    await withCheckedContinuation { continuation in sender.start(window: window) { continuation.resume() } }
    report(
        #"{"first":\#(first),"last":\#(monotonic()),"cpu":\#(Double(processTime() - before) / 1e9)}"#)
}

private final class Sender: Sendable {
    private let one: Sending
    private let messages: Int
    private let sent = Atomic<Int>(0)
    private let done = Atomic<Int>(0)
    private let finished = Mutex<(@Sendable () -> Void)?>(nil)

    init(_ messages: Int, _ one: @escaping Sending) {
        self.messages = messages
        self.one = one
    }

    func start(window: Int, finished: @escaping @Sendable () -> Void) {
        self.finished.withLock { $0 = finished }
        for _ in 0..<min(window, self.messages) { self.sendNext() }
    }

    private func sendNext() {
        guard self.sent.wrappingAdd(1, ordering: .relaxed).newValue <= self.messages else { return }
        self.one { error in
            if let error { fail("\(error)") }
            let isLast = self.done.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == self.messages
            if isLast { self.finished.withLock { $0 }?() } else { self.sendNext() }
        }
    }
}

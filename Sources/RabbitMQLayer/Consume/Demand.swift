import ChannelLayer
import Synchronization

/// Who reads normal channels here, and for how many of them a message is on its way.
final class Demand: Sendable {
    private struct Entry {
        /// Calls of `receive` that have not ended.
        var readers = 0
        /// Messages that were taken from the broker and no reader has returned with.
        var granted = 0
    }

    private struct State {
        var entries: [ChannelName: Entry] = [:]
        var changed: Set<ChannelName> = []
    }

    private let state = Mutex(State())

    func begin(_ channel: ChannelName) {
        self.state.withLock { state in
            state.entries[channel, default: Entry()].readers += 1
            state.changed.insert(channel)
        }
    }

    /// - Parameter hasMessage: whether the reader got one.
    func end(_ channel: ChannelName, hasMessage: Bool) {
        self.change(channel) { entry in
            entry.readers -= 1
            if hasMessage { entry.granted -= 1 }
        }
    }

    /// A message is being taken for a reader.
    func grant(_ channel: ChannelName) { self.change(channel) { $0.granted += 1 } }

    /// Messages that were being taken are not coming.
    func withdraw(_ channel: ChannelName, _ count: Int) { self.change(channel) { $0.granted -= count } }

    /// Readers for whom no message is on its way.
    func open(_ channel: ChannelName) -> Int {
        self.state.withLock { state in state.entries[channel].map { $0.readers - $0.granted } ?? 0 }
    }

    /// The channels where readers came or went since the last call.
    func takeChanged() -> Set<ChannelName> {
        self.state.withLock { state in
            guard !state.changed.isEmpty else { return [] }
            defer { state.changed = [] }
            return state.changed
        }
    }

    /// All channels with readers: a new connection begins with them.
    func all() -> [ChannelName] { self.state.withLock { Array($0.entries.keys) } }

    private func change(_ channel: ChannelName, _ change: (inout Entry) -> Void) {
        self.state.withLock { state in
            var entry = state.entries[channel] ?? Entry()
            change(&entry)
            state.entries[channel] = entry.readers <= 0 && entry.granted <= 0 ? nil : entry
            state.changed.insert(channel)
        }
    }
}

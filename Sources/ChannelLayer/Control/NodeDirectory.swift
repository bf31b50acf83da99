package import NIOCore

/// Which gateways there are, by what they say of themselves. A value: the time comes in.
package struct NodeDirectory: Sendable {
    /// How often a gateway says that it is there, and after which silence it counts as gone.
    package static let interval = TimeAmount.seconds(3)
    package static let expiry = TimeAmount.seconds(10)
    /// Gateways at most: whoever may write to the broker can make any up.
    package static let limit = 10_000

    private struct Node {
        var state: NodeState
        var heard: NIODeadline
    }

    private var nodes: [String: Node] = [:]

    package init() {}

    package mutating func heard(_ state: NodeState, now: NIODeadline) {
        if self.nodes.count >= Self.limit { self.forget(before: now) }
        guard self.nodes[state.uid] != nil || self.nodes.count < Self.limit else { return }
        self.nodes[state.uid] = Node(state: state, heard: now)
    }

    package mutating func left(_ uid: String) { self.nodes[uid] = nil }

    /// Forgets those that were silent for too long.
    package mutating func forget(before now: NIODeadline) {
        self.nodes = self.nodes.filter { $0.value.heard + Self.expiry > now }
    }

    package func knows(_ uid: String, now: NIODeadline) -> Bool {
        self.nodes[uid].map { $0.heard + Self.expiry > now } ?? false
    }

    /// Those that are there, or were when `forget` was last called.
    package var all: some Collection<NodeState> { self.nodes.values.lazy.map(\.state) }
}

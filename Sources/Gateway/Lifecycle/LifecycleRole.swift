/// Which gateway is the clerk, and which have fallen silent. A value; it knows no clock: time is counted in beats, of which
/// each gateway sends one a second to all.
///
/// Only beats of its own that have come back through the layer count. While the layer is away nobody is silent, since nobody
/// could be heard.
struct LifecycleRole: Equatable, Sendable {
    /// What a gateway says with a beat.
    struct Beat: Equatable, Sendable {
        var node: String
        var isClerk = false
        /// It goes, and says no more.
        var isLast = false
        /// Of a clerk: the gateways of which it knows all.
        var known: [String] = []
    }

    private struct Peer: Equatable, Sendable {
        var silence = 0
        var isClerk: Bool
    }

    let node: String
    /// Beats after which a silent gateway counts as gone.
    private let patience: Int
    private(set) var isClerk = false
    private var peers: [String: Peer] = [:]
    /// Own beats that came back since it became clerk, or since the beginning.
    private var beats = 0
    /// The same since the last time it was said to be unknown.
    private var unknownFor = 0

    /// Beats in which others are heard, if there are any, before anybody becomes clerk.
    private static let grace = 2
    /// Gateways that are remembered; whoever may write to the broker can make any up.
    private static let limit = 10_000

    init(node: String, patience: Int) {
        self.node = node
        self.patience = max(patience, 2)
    }

    /// - Returns: whether the clerk must be told what there is at this gateway.
    mutating func heard(_ beat: Beat) -> Bool {
        if beat.node == self.node {
            self.beatCameBack()
        } else if beat.isLast {
            self.peers[beat.node] = nil
        } else {
            guard self.peers[beat.node] != nil || self.peers.count < Self.limit else { return false }
            self.peers[beat.node] = Peer(isClerk: beat.isClerk)
            // Both of two do the same for a moment, which harms nobody.
            if beat.isClerk, self.isClerk, beat.node < self.node { self.isClerk = false }
        }
        guard beat.isClerk else { return false }
        guard !beat.known.contains(self.node) else {
            self.unknownFor = 0
            return false
        }
        self.unknownFor += 1
        // What it says may be under way.
        return self.unknownFor % Self.grace == 0
    }

    private mutating func beatCameBack() {
        self.beats += 1
        for name in self.peers.keys { self.peers[name]?.silence += 1 }
        // Who is not heard for so long is known to be silent without being remembered.
        self.peers = self.peers.filter { $0.value.silence <= self.patience * 10 }
        guard !self.isClerk, self.beats > Self.grace else { return }
        let present = self.peers.filter { $0.value.silence <= self.patience }
        guard !present.contains(where: \.value.isClerk), present.keys.allSatisfy({ self.node < $0 }) else { return }
        self.isClerk = true
        self.beats = 0
    }

    /// It goes: somebody else is to be the clerk.
    mutating func resign() { self.isClerk = false }

    /// Whether a gateway has not been heard for too long.
    func isSilent(_ node: String) -> Bool {
        guard node != self.node else { return false }
        return (self.peers[node]?.silence ?? self.beats) > self.patience
    }
}

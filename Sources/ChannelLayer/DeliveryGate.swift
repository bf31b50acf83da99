import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Keeps a feed's promise that after `close` no call to its listener begins, without a lock around the calls.
///
/// One word: the calls under way, and whether the gate is shut.
package final class DeliveryGate: Sendable {
    private static let shut: UInt64 = 1 << 63
    private let state = Atomic<UInt64>(0)

    package init() {}

    /// Runs `call` unless the gate is shut. Many threads may be inside at once.
    ///
    /// - Complexity: two atomic additions.
    package func pass(_ call: () -> Void) {
        let before = self.state.wrappingAdd(1, ordering: .acquiring).oldValue
        if before & Self.shut == 0 { call() }
        self.state.wrappingSubtract(1, ordering: .releasing)
    }

    /// Shuts the gate and waits until nobody is inside. Not to be called from inside: it would wait for itself.
    package func shutAndWait() {
        self.state.bitwiseOr(Self.shut, ordering: .acquiringAndReleasing)
        while self.state.load(ordering: .acquiring) != Self.shut { sched_yield() }
    }
}

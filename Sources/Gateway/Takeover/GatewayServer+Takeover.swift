import Glibc
import NIOCore
import Sockets

/// What became of a takeover.
package struct Takeover: Sendable {
    /// Browsers that came.
    package let browsers: Int
}

extension GatewayServer {
    // MARK: The new gateway

    /// Takes listening sockets and browsers over from the gateway that waits at `path`; before `listen`, which then uses the
    /// sockets that came.
    ///
    /// - Returns: `nil` when no gateway waits there.
    /// - Throws: why it did not come about; the other gateway keeps everything then.
    package func takeOver(at path: String) async throws -> Takeover? {
        try await withCheckedThrowingContinuation { continuation in
            let isStarted = PlainThread.start(name: "takeover") {
                continuation.resume(with: Result { try self.takeOverBlocking(at: path) })
            }
            if !isStarted {
                continuation.resume(throwing: IOError(errnoCode: EAGAIN, reason: "no thread for a takeover"))
            }
        }
    }

    private func takeOverBlocking(at path: String) throws -> Takeover? {
        guard let link = try TakeoverLink.connect(to: path) else { return nil }
        do {
            let (sockets, count) = try TakeoverTaker(server: self, link: link).run()
            self.inherit(sockets)
            self.context.takenOver(count)
            return Takeover(browsers: count)
        } catch {
            self.context.takeoverFailed(error)
            throw error
        }
    }

    // MARK: The old gateway

    /// Waits at `path` for the gateway that comes after this one.
    ///
    /// - Parameters:
    ///   - strange: called when one came that speaks another version: it will never take over.
    ///   - begun: called when one has come.
    ///   - ended: called when it has everything, and also when it took nothing.
    ///   - done: called on a thread of its own when that one has everything; what is left is to be drained.
    package func offerTakeover(
        at path: String, strange: @escaping @Sendable () -> Void = {}, begun: @escaping @Sendable () -> Void = {},
        ended: @escaping @Sendable () -> Void = {}, done: @escaping @Sendable () -> Void
    ) throws {
        let offer = try TakeoverOffer(path: path, inheriting: self.inheritedTakeover())
        self.keep(offer)
        try offer.start(
            give: { link in
                begun()
                defer { ended() }
                let count = try TakeoverGiver(server: self, link: link).run()
                self.context.passedOn(count)
            },
            failed: { error in
                self.context.takeoverFailed(error)
                if (error as? TakeoverLink.Fault)?.kind == .version { strange() }
            }, done: done)
    }
}

extension GatewayContext {
    /// Nanoseconds of `GatewayConfiguration.takeoverSkew`.
    var takeoverSkew: UInt64 {
        let (seconds, attoseconds) = self.configuration.takeoverSkew.components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }

    func takenOver(_ count: Int) {
        self.log.log(.notice, "Browsers were taken over from the gateway before", metadata: ["count": "\(count)"])
    }

    func passedOn(_ count: Int) {
        self.log.log(.notice, "Browsers were passed on to the next gateway", metadata: ["count": "\(count)"])
    }

    func orphaned(_ count: Int) {
        self.log.log(
            .warning, "The gateway before died while it passed browsers on; those that had come stay",
            metadata: ["count": "\(count)"])
    }

    func takeoverFailed(_ error: any Error) {
        self.metrics.failedTakeovers.increment()
        self.log.log(
            .warning, "A takeover failed; the gateway that had the browsers keeps them", metadata: ["error": "\(error)"]
        )
    }

    func stoodStill(_ times: Int) {
        self.log.log(
            .warning,
            "The machine left this process no time while it passed browsers on: they may miss messages; restart with less to do",
            metadata: ["count": "\(times)"])
    }

    func takeoverRefused(_ error: any Error) {
        self.log.log(.info, "A browser is not taken over", metadata: ["error": "\(error)"])
    }

    func takeoverEnded(missing: Int) {
        guard missing > 0 else { return }
        self.metrics.takeoverMisses.increment(by: missing)
        self.log.log(
            .warning, "The layer brought messages to the gateway before and not here", metadata: ["count": "\(missing)"]
        )
    }
}

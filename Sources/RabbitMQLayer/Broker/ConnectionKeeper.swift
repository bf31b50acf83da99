import ChannelLayer
import Logging

/// Keeps one connection to one of the broker's nodes, for as long as it is wanted; the life of one thread.
struct ConnectionKeeper: Sendable {
    /// What it is for: `publish`, `consume`.
    let purpose: String
    let configuration: RabbitMQConfiguration
    let waker: Waker
    let logger: Logger

    /// Connects, serves, and begins again when the connection is lost.
    ///
    /// - Parameters:
    ///   - isWanted: asked before each attempt.
    ///   - serve: uses a connection until it is no longer wanted, or lost. Sets its flag once everything works.
    ///   - lost: called for each attempt that failed, and each connection that was lost.
    func run(
        while isWanted: () -> Bool,
        serve: (_ connection: consuming AMQPConnection, _ works: inout Bool) throws(BrokerError) -> Void,
        lost: (BrokerError) -> Void
    ) {
        let backoff = Backoff()
        var failures = 0
        var logged: (text: String, at: ContinuousClock.Instant)?
        while isWanted() {
            let addresses = self.configuration.addresses
            guard !addresses.isEmpty else { return lost(BrokerError(.refused, "no address is given")) }
            // Each failed attempt goes on to the next node.
            let address = addresses[failures % addresses.count]
            var works = false
            do throws(BrokerError) {
                let connection = try AMQPConnection(
                    to: address, self.configuration, name: "carillon \(self.purpose)")
                try serve(connection, &works)
            } catch {
                failures = works ? 1 : failures + 1
                lost(error)
                guard isWanted() else { return }
                self.log(error, failures, &logged)
                self.waker.wait(atMost: backoff.delay(after: failures, random: .random(in: 0...1)))
            }
        }
    }

    /// The same trouble once a minute, a new one at once.
    private func log(
        _ error: BrokerError, _ failures: Int, _ logged: inout (text: String, at: ContinuousClock.Instant)?
    ) {
        let now = ContinuousClock.now
        if let last = logged, last.text == error.description, now - last.at < .seconds(60) { return }
        logged = (error.description, now)
        self.logger.log(
            level: error.kind == .refused ? .error : .warning, "RabbitMQ cannot be used; trying again",
            metadata: ["error": "\(error)", "attempt": "\(failures)", "purpose": "\(self.purpose)"])
    }
}

import ChannelLayer
import NIOCore

/// How something comes into the log.
extension GroupLog {
    /// Clients in one entry.
    private static let batch = 256
    /// How long the broker may take for a hello.
    private static let patience = Duration.seconds(5)

    /// Writes an entry, whose number the answer waits for.
    func write(
        _ answer: Answer, _ group: GroupName, _ kind: (inout State) -> LogEntry.Kind
    ) {
        let deadline = ContinuousClock.now + self.configuration.timeout
        let time = self.now()
        // Offered under the lock: numbers, and what is known, are in the order of the log.
        let error = self.state.withLock { state -> LayerError? in
            if case .closed = state.phase { return OutboxState.closed }
            state.lastNumber += 1
            let number = state.lastNumber
            let entry = LogEntry(
                process: self.process, number: number, time: time, group: group.text, kind: kind(&state))
            do throws(LayerError) {
                let body = try entry.encoded()
                let error = self.outbox.take(self.submission(body, number, group.text, deadline))
                if error == nil { state.awaited[number] = (answer, deadline) }
                return error
            } catch {
                return error
            }
        }
        if let error { answer.fail(error) }
    }

    /// Without an answer.
    func write(_ kind: LogEntry.Kind, _ group: String, _ state: inout State) {
        state.lastNumber += 1
        let entry = LogEntry(
            process: self.process, number: state.lastNumber, time: self.now(), group: group, kind: kind)
        guard let body = try? entry.encoded() else { return }
        _ = self.outbox.take(self.submission(body, state.lastNumber, group, .now + self.configuration.timeout))
    }

    private func submission(
        _ body: ByteBuffer, _ number: UInt64, _ name: String, _ deadline: ContinuousClock.Instant
    ) -> Submission {
        Submission(
            target: .log, key: self.configuration.historyLog, name: name, body: body, deadline: deadline,
            completion: { [weak self] error in
                if let error { self?.failed(number, error) } else { self?.taken(number) }
            })
    }

    private func taken(_ number: UInt64) {
        self.state.withLock { if $0.hello?.number == number { $0.hello?.taken = .now } }
    }

    /// The entry was not taken, or nobody knows.
    private func failed(_ number: UInt64, _ error: LayerError) {
        let answer = self.state.withLock { state in
            if state.hello?.number == number { state.hello?.isRefused = true }
            return state.awaited.removeValue(forKey: number)?.answer
        }
        answer?.fail(error)
    }

    // MARK: Hello

    func greet(_ state: inout State) {
        self.write(.hello, "", &state)
        state.hello = Hello(number: state.lastNumber, written: .now)
        // Behind it: what is said of clients counts from the hello on. Others may have given us up.
        self.sayPresence(&state)
    }

    /// Says hello once more when the broker did not take the one before, or does not say so: a stream that was deleted may
    /// answer neither way.
    func greetAgain(_ now: ContinuousClock.Instant, _ state: inout State) {
        guard state.isConnected, let hello = state.hello, hello.taken == nil else { return }
        if hello.isRefused || hello.written + Self.patience <= now { self.greet(&state) }
    }

    // MARK: Presence

    /// What this process says of its clients, said anew.
    func sayPresence(_ state: inout State) {
        for (group, clients) in state.own {
            let all = Array(clients.values)
            for start in stride(from: 0, to: all.count, by: Self.batch) {
                let part = Array(all[start..<min(start + Self.batch, all.count)])
                self.write(.present(part), group.text, &state)
            }
        }
    }
}

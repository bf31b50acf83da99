import ChannelLayer
import HTTP1
import NIOCore

/// Questions to the application, about one connection.
extension ClientSession {
    func ask(_ event: ProxyEvent, _ details: ProxyDetails, _ choice: ProxyChoice, _ session: Session) {
        guard let proxy = self.endpoint.proxies[event, choice] else {
            return self.resume(self.machine.answered(event, channel: details.channel, .failed(.unreachable), now: 0))
        }
        let question = self.question(event, details, session, proxy)
        let answer =
            self.foreseen.take(question, details.channel) ?? proxy.answer(to: question, on: session.shard.eventLoop)
        answer.assumeIsolated().whenSuccess { [weak self] answer in
            guard let self else { return }
            self.resume(self.machine.answered(event, channel: details.channel, answer, now: WallClock.seconds()))
        }
    }

    private func question(
        _ event: ProxyEvent, _ details: ProxyDetails, _ session: Session, _ proxy: ProxyEndpoint
    ) -> ProxyQuestion {
        let credentials = self.machine.credentials
        var asker = ProxyAsker()
        asker.client = proxy.configuration.saysClient ? self.id : nil
        asker.transport = self.transport.path.rawValue
        asker.isProtobuf = self.transport.isProtobuf
        asker.isBinary = proxy.configuration.isBinary
        asker.user = event == .connect ? nil : credentials.user
        asker.meta = event != .connect && proxy.configuration.saysMeta ? credentials.meta : nil
        let fields = proxy.fields(
            of: session.info.handshake?.head.fields ?? HeaderFields(),
            from: session.info.handshake?.client ?? ClientAddress(address: nil), emulated: self.machine.headers)
        return ProxyQuestion(event, asker, details, fields: fields)
    }

    /// Asks about the subscriptions of a frame that has to wait, so that one frame's questions are one request; its
    /// commands are nevertheless carried out one after the other.
    func foresee(_ frame: ByteBuffer) {
        guard let session = self.session, session.isOpen, !self.endpoint.proxies.isEmpty else { return }
        var frame = frame
        while frame.readableBytes > 0, self.foreseen.count < self.endpoint.rules.channelLimit {
            // What cannot be read ends the connection when it is its turn.
            guard let command = try? self.codec.nextCommand(of: &frame) else { return }
            guard let (details, choice) = self.machine.foresees(command),
                let proxy = self.endpoint.proxies[.subscribe, choice]
            else { continue }
            let question = self.question(.subscribe, details, session, proxy)
            self.foreseen.add(question, details.channel) { proxy.answer(to: question, on: session.shard.eventLoop) }
        }
    }
}

/// Questions that were asked before their commands' turn, by channel.
struct ForeseenQuestions {
    private var questions: [String: (question: ProxyQuestion, answer: EventLoopFuture<ProxyAnswer>)] = [:]

    var count: Int { self.questions.count }

    mutating func add(_ question: ProxyQuestion, _ channel: String, _ ask: () -> EventLoopFuture<ProxyAnswer>) {
        guard self.questions[channel] == nil else { return }
        self.questions[channel] = (question, ask())
    }

    /// The answer to just this question, once.
    mutating func take(_ question: ProxyQuestion, _ channel: String) -> EventLoopFuture<ProxyAnswer>? {
        guard self.questions[channel]?.question == question else { return nil }
        return self.questions.removeValue(forKey: channel)?.answer
    }

    mutating func removeAll() { if !self.questions.isEmpty { self.questions = [:] } }
}

extension ProxyResult {
    /// What travels with a publication.
    func add(to message: inout LayerMessage) {
        func add(_ key: String, _ value: LayerValue) { message.entries.append(.init(key: .string(key), value: value)) }
        if !self.tags.isEmpty {
            add("tags", .map(self.tags.map { .init(key: .string($0.name), value: .string($0.value)) }))
        }
        if self.wantsDelta { add("delta", .bool(true)) }
    }
}

extension HistoryOptions {
    /// How a publication is kept that the application has judged; `nil` when it just passes.
    init?(_ options: ChannelOptions, _ decided: ProxyResult) {
        if let kept = HistoryOptions(options), !decided.skipsHistory {
            self = kept
            self.version = decided.version
            self.versionEpoch = decided.versionEpoch
        } else if decided.idempotencyKey.isEmpty {
            return nil
        } else {
            self.init(size: 0, timeToLive: .zero)
        }
        self.idempotencyKey = decided.idempotencyKey.isEmpty ? nil : decided.idempotencyKey
    }
}

import ChannelLayer
import HTTP1
import NIOCore
import Telemetry
import Upstream

/// Asks the application at one address, about one or several kinds of event: does what `ProxyDesk` says, on one event loop
/// of the gateway.
final class ProxyEndpoint: Sendable {
    private struct Alarm {
        let time: NIODeadline
        let task: Scheduled<Void>
    }
    private typealias Desk = ProxyDesk<EventLoopPromise<ProxyAnswer>>

    let configuration: ProxyConfiguration
    private let target: String
    private let ask: AskWorker
    private let home: any EventLoop
    private let desk: NIOLoopBoundBox<Desk>
    /// When the home loop looks again by itself.
    private let alarm: NIOLoopBoundBox<Alarm?>
    private let metrics: ProxyMetrics
    private let gauges: NIOLoopBoundBox<ProxyGauges>
    private let log: BoundedLog

    /// - Parameter ask: how the endpoint's server is asked, with a limit of time and size.
    init(
        _ configuration: ProxyConfiguration, ask: @escaping AskWorker, home: any EventLoop, metrics: ProxyMetrics,
        log: BoundedLog
    ) {
        self.configuration = configuration
        switch configuration.endpoint {
        case .workers(let path): self.target = path
        case .server(_, let target): self.target = target
        }
        self.ask = ask
        self.home = home
        let desk = Desk(configuration.limits())
        var gauges = metrics.gauges(of: configuration.endpoint.address)
        gauges.show(desk.load)
        self.desk = NIOLoopBoundBox.makeBoxSendingValue(desk, eventLoop: home)
        self.gauges = NIOLoopBoundBox.makeBoxSendingValue(gauges, eventLoop: home)
        self.alarm = NIOLoopBoundBox.makeEmptyBox(valueType: Alarm.self, eventLoop: home)
        self.metrics = metrics
        self.log = log
    }

    /// Asks, or finds the answer otherwise. Never fails: what goes wrong is an answer too.
    ///
    /// - Parameter loop: where the answer is wanted.
    func answer(to question: ProxyQuestion, on loop: any EventLoop) -> EventLoopFuture<ProxyAnswer> {
        self.metrics.questions.increment()
        let promise = loop.makePromise(of: ProxyAnswer.self)
        self.onHome { $0.ask(question, for: promise, now: .now()) }
        return promise.futureResult
    }

    /// What the question's request has of the browser's own. Where the browser is it does not say itself: that is the
    /// address of the connection, or what a trusted proxy says.
    ///
    /// - Parameter emulated: what it said in `connect`.
    func fields(
        of request: HeaderFields, from client: ClientAddress, emulated: [String: String] = [:]
    ) -> [ProxyQuestion.Field] {
        var fields: [ProxyQuestion.Field] = []
        func add(_ name: String, _ value: String) {
            if !value.isEmpty { fields.append(.init(name: name, value: value)) }
        }
        for name in self.configuration.fields {
            switch name.lowercased() {
            case "x-forwarded-for", "x-real-ip": add(name, client.address?.description ?? "")
            case "cookie": add(name, request.values(name).joined(separator: "; "))
            case let other:
                let isProxys = other == "forwarded" || other.hasPrefix("x-forwarded-")
                if !isProxys || client.isFromTrustedProxy { add(name, request.values(name).joined(separator: ", ")) }
            }
        }
        for name in self.configuration.emulatedFields {
            let value = emulated.first { $0.key.lowercased() == name.lowercased() }?.value ?? ""
            if value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) { add(name, value) }
        }
        return fields
    }

    // MARK: On the home loop

    private func onHome(_ body: @escaping @Sendable (inout Desk) -> [Desk.Action]) {
        if self.home.inEventLoop {
            self.perform(body(&self.desk.value))
        } else {
            self.home.execute { self.perform(body(&self.desk.value)) }
        }
    }

    private func perform(_ actions: [Desk.Action]) {
        // First, so that whoever has its answer finds them as they are then.
        self.gauges.value.show(self.desk.value.load)
        for action in actions {
            switch action {
            case .answer(let promises, let answer):
                if case .failed(let failure) = answer { self.noteFailure(failure, promises.count) }
                for promise in promises { promise.succeed(answer) }
            case .send(let number, let questions, let waits):
                for wait in waits { self.metrics.waits.recordNanoseconds(wait.nanoseconds) }
                self.send(questions, number)
            }
        }
        self.setAlarm()
    }

    private func setAlarm() {
        let wanted = self.desk.value.nextWake
        if let alarm = self.alarm.value {
            if let wanted, alarm.time <= wanted { return }
            alarm.task.cancel()
            self.alarm.value = nil
        }
        guard let wanted else { return }
        let task = self.home.scheduleTask(deadline: wanted) {
            self.alarm.value = nil
            self.perform(self.desk.value.wake(now: .now()))
        }
        self.alarm.value = Alarm(time: wanted, task: task)
    }

    private func send(_ questions: [ProxyQuestion], _ number: Int) {
        self.metrics.requests.increment()
        self.ask(self.request(questions), self.home).whenComplete { result in
            self.onHome { desk in
                switch result {
                case .success(let answer):
                    if let failure = self.overload(answer) {
                        self.explain("status \(answer.status)", questions)
                        return desk.failed(number, failure, now: .now())
                    }
                    let answers = self.answers(in: answer, to: questions.count)
                    if answers.contains(where: \.answer.isFailure) {
                        self.explain("status \(answer.status), \(answer.body.readableBytes) bytes", questions)
                    }
                    return desk.answered(number, answers, now: .now())
                case .failure(let error):
                    self.explain("\(error)", questions)
                    return desk.failed(number, Self.failure(error), now: .now())
                }
            }
        }
    }

    private static func failure(_ error: any Error) -> ProxyFailure {
        switch (error as? UpstreamError)?.code {
        case .timedOut: .slow
        case .badAnswer, .tooLarge: .unreadable
        case .overloaded: .overloaded
        default: .unreachable
        }
    }

    private func request(_ questions: [ProxyQuestion]) -> AskRequest {
        var fields = HeaderFields()
        if questions.count == 1, self.configuration.batchSize == 1, let question = questions.first {
            for field in question.fields { fields.append(field.name, field.value) }
        }
        for field in self.configuration.staticFields where !fields.contains(field.name) {
            fields.append(field.name, field.value)
        }
        fields.append("Content-Type", "application/json")
        fields.append("Accept", "application/json")
        let body =
            self.configuration.batchSize == 1
            ? questions.first?.body ?? ByteBuffer() : ProxyBatch.body(of: questions)
        return AskRequest(
            head: RequestHead(method: "POST", target: self.target, version: .http11, fields: fields), body: body,
            isHarmless: questions.allSatisfy(\.event.isPure))
    }

    // MARK: Answers

    /// What says that the application has too much to do.
    private func overload(_ answer: AskAnswer) -> ProxyFailure? {
        guard self.configuration.statuses[answer.status] == nil else { return nil }
        return answer.status == 429 || answer.status >= 500 ? .status : nil
    }

    private func answers(in answer: AskAnswer, to count: Int) -> [(answer: ProxyAnswer, maxAge: Int)] {
        func all(_ one: ProxyAnswer) -> [(answer: ProxyAnswer, maxAge: Int)] {
            Array(repeating: (one, 0), count: count)
        }
        if let meaning = self.configuration.statuses[answer.status] { return all(meaning) }
        guard answer.status == 200 else { return all(.failed(.status)) }
        guard self.configuration.batchSize == 1 else { return ProxyBatch.answers(in: answer.body, to: count) }
        let maxAge = ProxyFreshness.seconds(answer.fields.values("Cache-Control"))
        return Array(repeating: (ProxyAnswer(reading: answer.body), maxAge), count: count)
    }

    /// Questions have no answer, whatever the reason.
    private func noteFailure(_ failure: ProxyFailure, _ count: Int) {
        self.metrics.failed(failure, by: count)
        // What goes wrong with a request is logged there.
        guard failure == .overloaded || failure == .overdue else { return }
        self.log.log(
            .warning, "A question to the application waited in vain",
            metadata: [LogKey.reason: "\(failure.rawValue)", LogKey.target: "\(self.target)"])
    }

    /// What exactly went wrong with a request.
    private func explain(_ error: String, _ questions: [ProxyQuestion]) {
        self.log.log(
            .warning, "A request to the application failed",
            metadata: [
                LogKey.error: "\(error)", LogKey.target: "\(self.target)",
                LogKey.type: "\(questions.first?.event.rawValue ?? "")",
            ])
    }
}

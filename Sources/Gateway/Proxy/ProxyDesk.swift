import NIOCore

/// What becomes of questions to one endpoint of the application, without I/O and without a clock: which are answered from
/// memory, which join one that is asked already, which go out together and when, and which have waited for too long.
///
/// ```
///  ask ──▶ cached? ──▶ asked already? ──▶ waiting ──▶ (window, room under the limit) ──▶ running ──▶ answer to all
///             └ answer      └ joins          └ too many, or too long: failed
/// ```
struct ProxyDesk<Ticket: Sendable>: Sendable {
    struct Limits: Sendable {
        /// Questions of one request; 1 sends each by itself.
        var batch = 1
        /// How long the first question of a batch waits for others.
        var window = TimeAmount.milliseconds(5)
        /// Requests under way.
        var concurrency = 1...256
        var firstConcurrency = 8
        /// Questions that wait for their turn.
        var waiting = 10_000
        /// How long one may wait for its turn.
        var patience = TimeAmount.seconds(10)
        /// Answers in memory.
        var cached = 10_000
    }

    enum Action: Sendable {
        /// Send these as one request, and report what becomes of it under its number.
        case send(Int, [ProxyQuestion], waited: [TimeAmount])
        case answer([Ticket], ProxyAnswer)
    }

    /// One question, and all who want its answer.
    private struct Flight {
        let question: ProxyQuestion
        var tickets: [Ticket]
        let asked: NIODeadline
    }

    private struct Request {
        let flights: [Int]
        let sent: NIODeadline
    }

    private let limits: Limits
    private var limit: ConcurrencyLimit
    private var cache: AnswerCache
    private var flights: [Int: Flight] = [:]
    private var known: [ProxyQuestion: Int] = [:]
    private var waiting: CircularBuffer<Int> = .init()
    private var running: [Int: Request] = [:]
    private var lastNumber = 0

    init(_ limits: Limits) {
        self.limits = limits
        self.limit = ConcurrencyLimit(limits.concurrency, start: limits.firstConcurrency)
        self.cache = AnswerCache(limit: limits.cached)
    }

    // MARK: Numbers

    var load: ProxyLoad {
        ProxyLoad(waiting: self.waiting.count, running: self.running.count, concurrency: self.limit.value)
    }

    // MARK: Events

    mutating func ask(_ question: ProxyQuestion, for ticket: Ticket, now: NIODeadline) -> [Action] {
        if question.event.isPure {
            if let answer = self.cache.answer(to: question, now: now) { return [.answer([ticket], answer)] }
            if let number = self.known[question] {
                self.flights[number]?.tickets.append(ticket)
                return []
            }
        }
        guard self.waiting.count < self.limits.waiting else { return [.answer([ticket], .failed(.overloaded))] }
        let number = self.nextNumber()
        self.flights[number] = Flight(question: question, tickets: [ticket], asked: now)
        if question.event.isPure { self.known[question] = number }
        self.waiting.append(number)
        return self.send(now)
    }

    /// - Parameter answers: as many as the request had questions, each with the seconds it counts.
    mutating func answered(
        _ request: Int, _ answers: [(answer: ProxyAnswer, maxAge: Int)], now: NIODeadline
    ) -> [Action] {
        guard let actions = self.end(request, answers, now, succeeded: true) else { return [] }
        return actions + self.send(now)
    }

    /// The whole request came to nothing.
    mutating func failed(_ request: Int, _ failure: ProxyFailure, now: NIODeadline) -> [Action] {
        guard let count = self.running[request]?.flights.count else { return [] }
        let answers = Array(repeating: (answer: ProxyAnswer.failed(failure), maxAge: 0), count: count)
        guard let actions = self.end(request, answers, now, succeeded: false) else { return [] }
        return actions + self.send(now)
    }

    /// Time has passed: to be called at `nextWake`.
    mutating func wake(now: NIODeadline) -> [Action] { self.giveUp(now) + self.send(now) }

    /// When something is due; `nil` when nothing is.
    var nextWake: NIODeadline? {
        guard let first = self.waiting.first, let asked = self.flights[first]?.asked else { return nil }
        // Without room only an answer, or the end of somebody's patience, changes anything.
        return self.hasRoom ? asked + self.limits.window : asked + self.limits.patience
    }

    // MARK: Steps

    private var hasRoom: Bool { self.running.count < self.limit.value }

    private mutating func nextNumber() -> Int {
        self.lastNumber &+= 1
        return self.lastNumber
    }

    private mutating func send(_ now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        while self.hasRoom, let first = self.waiting.first, let asked = self.flights[first]?.asked {
            let isDue =
                self.limits.batch == 1 || self.waiting.count >= self.limits.batch || asked + self.limits.window <= now
            guard isDue else { break }
            let numbers = Array(self.waiting.prefix(self.limits.batch))
            self.waiting.removeFirst(numbers.count)
            let number = self.nextNumber()
            self.running[number] = Request(flights: numbers, sent: now)
            let flights = numbers.compactMap { self.flights[$0] }
            actions.append(.send(number, flights.map(\.question), waited: flights.map { now - $0.asked }))
        }
        return actions
    }

    private mutating func end(
        _ number: Int, _ answers: [(answer: ProxyAnswer, maxAge: Int)], _ now: NIODeadline, succeeded: Bool
    ) -> [Action]? {
        guard let request = self.running[number] else { return nil }
        if succeeded {
            self.limit.answered(
                in: Double((now - request.sent).nanoseconds) / 1e9, questions: request.flights.count,
                running: self.running.count)
        } else {
            self.limit.failed()
        }
        self.running[number] = nil
        var actions: [Action] = []
        for (index, number) in request.flights.enumerated() {
            guard let flight = self.land(number) else { continue }
            let (answer, maxAge) = index < answers.count ? answers[index] : (.failed(.unreadable), 0)
            self.cache.keep(answer, to: flight.question, seconds: maxAge, now: now)
            actions.append(.answer(flight.tickets, answer))
        }
        return actions
    }

    private mutating func giveUp(_ now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        while let first = self.waiting.first, let asked = self.flights[first]?.asked,
            asked + self.limits.patience <= now
        {
            self.waiting.removeFirst()
            if let flight = self.land(first) { actions.append(.answer(flight.tickets, .failed(.overdue))) }
        }
        return actions
    }

    private mutating func land(_ number: Int) -> Flight? {
        guard let flight = self.flights.removeValue(forKey: number) else { return nil }
        if self.known[flight.question] == number { self.known[flight.question] = nil }
        return flight
    }
}

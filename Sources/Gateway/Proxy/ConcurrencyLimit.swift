/// How many requests may be under way at once, by how long the application takes: more while they are answered as fast as
/// few are, fewer when they begin to wait for each other there. A value: the times come in.
///
/// For each size of request (batches of 1, 2, 4 … questions) it knows the usual time. An answer that took much longer
/// lowers the limit in proportion, at most by half; one that did not raises it by a few, but only while most of it is used.
/// A failure lowers it by half. The usual time is learnt upwards only while so few are under way that they cannot be what
/// makes it slow: else the limit would run away with it.
///
/// Model: the gradient limiters of Netflix's concurrency-limits.
struct ConcurrencyLimit: Sendable {
    /// Answers may take so many times longer than usual before it counts.
    static let tolerance = 2.0
    /// How much of a new estimate is taken over at once.
    static let smoothing = 0.2
    /// How much the usual time moves with an answer, up and down.
    static let memory = (up: 0.05, down: 0.1)
    /// So few requests do not wait for each other. Where every answer is too slow, the limit settles here.
    static let few = 4
    /// Seconds that count at most.
    private static let longest = 3_600.0

    private let bounds: ClosedRange<Double>
    private var estimate: Double
    /// Seconds, by the binary logarithm of the number of questions.
    private var usual: [Double?] = Array(repeating: nil, count: 16)

    /// - Parameter bounds: at least 1.
    init(_ bounds: ClosedRange<Int>, start: Int) {
        self.bounds = Double(bounds.lowerBound)...Double(bounds.upperBound)
        self.estimate = min(max(Double(start), self.bounds.lowerBound), self.bounds.upperBound)
    }

    /// Requests that may be under way.
    var value: Int { Int(self.estimate) }

    /// - Parameters:
    ///   - seconds: from the request to the answer.
    ///   - questions: in the request.
    ///   - running: requests that were under way, this one among them.
    mutating func answered(in seconds: Double, questions: Int, running: Int) {
        let size = min(Int.bitWidth - 1 - max(questions, 1).leadingZeroBitCount, self.usual.count - 1)
        let seconds = seconds.isNaN ? Self.longest : min(max(seconds, 0.000_1), Self.longest)
        var usual = self.usual[size] ?? seconds
        if seconds < usual {
            usual += (seconds - usual) * Self.memory.down
        } else if running <= Self.few {
            usual += (seconds - usual) * Self.memory.up
        }
        self.usual[size] = usual
        let gradient = min(1, max(0.5, Self.tolerance * usual / seconds))
        guard gradient < 1 || Double(max(running, 0)) * 2 >= self.estimate else { return }
        self.move(to: self.estimate * gradient + self.estimate.squareRoot())
    }

    /// No answer, or one that says the application has too much to do.
    mutating func failed() { self.move(to: self.estimate / 2) }

    private mutating func move(to target: Double) {
        let next = self.estimate + (target - self.estimate) * Self.smoothing
        self.estimate = min(max(next, self.bounds.lowerBound), self.bounds.upperBound)
    }
}

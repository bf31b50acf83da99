import Glibc

/// Times small things: the median of five samples, each long enough that the clock's grain and a stray interrupt
/// do not matter. The time is CPU time of this thread, which a busy neighbour hardly moves.
struct Measure {
    private static let sampleNanoseconds: UInt64 = 100_000_000
    private static let samples = 5

    /// Lines whose name does not contain it are left out; empty for all.
    let filter: String

    func wants(_ name: String) -> Bool { self.filter.isEmpty || name.contains(self.filter) }

    /// Prints a time that was taken otherwise.
    func report(_ name: String, _ nanoseconds: Double) { Self.print(name, nanoseconds, nil) }

    /// Prints the time of one `operation`, or of one of the `units` that a call of it has.
    func callAsFunction(_ name: String, units: Int = 1, _ operation: () throws -> Void) {
        guard self.wants(name) else { return }
        do {
            let repetitions = try Self.calibrate(operation)
            var times: [Double] = []
            for _ in 0..<Self.samples {
                let nanoseconds = try Self.time(repetitions, operation)
                times.append(Double(nanoseconds) / Double(repetitions) / Double(units))
            }
            times.sort()
            Self.print(name, times[Self.samples / 2], times[0])
        } catch {
            Swift.print("\(name): \(error)")
            exit(1)
        }
    }

    /// How often fits into one sample.
    private static func calibrate(_ operation: () throws -> Void) throws -> Int {
        var repetitions = 1
        while true {
            let nanoseconds = try Self.time(repetitions, operation)
            if nanoseconds >= Self.sampleNanoseconds / 4 {
                return max(1, Int(Double(repetitions) * Double(Self.sampleNanoseconds) / Double(nanoseconds)))
            }
            repetitions *= 4
        }
    }

    private static func time(_ repetitions: Int, _ operation: () throws -> Void) throws -> UInt64 {
        let start = Self.now()
        for _ in 0..<repetitions { try operation() }
        return Self.now() - start
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func print(_ name: String, _ median: Double, _ least: Double?) {
        let padded = name + String(repeating: " ", count: max(1, 62 - name.count))
        let more = least.map { "   least " + Self.written($0) } ?? ""
        Swift.print(padded + Self.written(median) + " ns" + more)
    }

    private static func written(_ value: Double) -> String {
        let text = String((value * 10).rounded() / 10)
        return String(repeating: " ", count: max(0, 9 - text.count)) + text
    }
}

/// Keeps the optimizer from removing what made `value`.
@inline(never)
func keep<Value>(_ value: Value) {}

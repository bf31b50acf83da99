package import NIOCore

/// How upstreams are asked, from time to time and apart from all requests, whether they are well.
package struct HealthCheck: Sendable, Equatable {
    /// What is asked for with GET; any answer with a status from 200 to 399 is well.
    package var path: String
    /// The `Host` that is asked for; empty for the upstream's own name.
    package var host = ""
    /// From one question's end to the next one's begin.
    package var interval: TimeAmount = .seconds(5)
    /// From the question to the answer's end.
    package var timeout: TimeAmount = .seconds(2)
    /// So many bad answers in a row, and an upstream gets no requests while others are well.
    package var failures = 2
    /// So many good answers in a row, and it gets them again.
    package var successes = 2

    package init(path: String) {
        self.path = path
    }
}

/// What the checks of one upstream have come to: a value without a clock.
struct HealthTally: Equatable {
    private(set) var isWell = true
    /// Answers in a row that speak against what `isWell` says.
    private var contrary = 0

    /// - Returns: whether `isWell` has changed.
    mutating func add(isGood: Bool, _ check: HealthCheck) -> Bool {
        guard isGood != self.isWell else {
            self.contrary = 0
            return false
        }
        self.contrary += 1
        guard self.contrary >= (isGood ? check.successes : check.failures) else { return false }
        self.isWell = isGood
        self.contrary = 0
        return true
    }
}

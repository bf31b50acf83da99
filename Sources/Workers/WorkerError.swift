/// Why the worker server could not do what it was asked.
public struct WorkerError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure; an open set.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String
        public init(_ name: String) { self.description = name }

        /// The visitor closed the connection. Nobody reads what is written from now on.
        public static let disconnected = Code("disconnected")
        /// The visitor read nothing for the time a write may take, so the connection was cut.
        public static let stalled = Code("stalled")
        /// The request was over its time limit and has been given up.
        public static let overdue = Code("overdue")
        /// The application's answer cannot be sent: a status or a field that HTTP does not know.
        public static let invalidResponse = Code("invalid_response")
        /// A thread or a listening socket cannot be had. The message says which.
        public static let cannotStart = Code("cannot_start")
        /// A setting has a value the server cannot work with.
        public static let invalidConfiguration = Code("invalid_configuration")
    }

    public let code: Code
    /// What happened, what was wanted, what next: one sentence for a person.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(self.code): \(self.message)" }
}

/// Why a layer could not do what it was asked.
public struct LayerError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure; an open set, so that a layer of another package can add its own.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String
        public init(_ name: String) { self.description = name }

        /// The channel holds as many messages as its capacity. Retry later, or drop.
        public static let channelFull = Code("channel_full")
        /// The broker cannot be reached. The layer reconnects by itself; retry later.
        public static let unavailable = Code("unavailable")
        /// A name is not a channel or group name. Do not retry.
        public static let invalidName = Code("invalid_name")
        /// The message cannot be carried: a reserved key, too large, too deep. Do not retry.
        public static let invalidMessage = Code("invalid_message")
        /// The layer has no such operation. Do not retry.
        public static let unsupported = Code("unsupported")
        /// The layer was closed. Do not retry.
        public static let closed = Code("closed")
        /// The waiting task was cancelled.
        public static let cancelled = Code("cancelled")
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

public import NIOCore

/// The fields of a head, in order, with their names as they were spelled.
public struct HeaderFields: Sendable {
    public init() {}
}

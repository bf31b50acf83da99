extension LayerMessage {
    /// The type of a publication: what a backend tells browsers, and every route of a gateway has a rule for.
    @inlinable public static var publicationType: String { "carillon.publication" }

    /// The types of what a group is told when somebody begins and ceases to follow it as a channel; `info` says who.
    package static let joinType = "carillon.join"
    package static let leaveType = "carillon.leave"

    package var isJoinOrLeave: Bool {
        guard let type = self.type else { return false }
        return type == Self.joinType || type == Self.leaveType
    }

    /// `{"type": "carillon.publication", "data": data}`
    ///
    /// - Parameter data: `.json` for JSON, which browsers get as text without its being taken apart, or `.bytes`.
    public static func publication(_ data: LayerValue) -> LayerMessage {
        // Not a dictionary literal: this is made for every publish, and the pairs of a literal are an array of their own.
        LayerMessage(entries: [
            LayerValue.Entry(key: .string("type"), value: .string(self.publicationType)),
            LayerValue.Entry(key: .string("data"), value: data),
        ])
    }
}

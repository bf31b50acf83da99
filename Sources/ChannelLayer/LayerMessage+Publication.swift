extension LayerMessage {
    /// The type of a publication: what a backend tells browsers, and every route of a gateway has a rule for.
    @inlinable public static var publicationType: String { "carillon.publication" }

    /// `{"type": "carillon.publication", "data": data}`
    ///
    /// - Parameter data: `.json` for JSON, which browsers get as text without its being taken apart, or `.bytes`.
    public static func publication(_ data: LayerValue) -> LayerMessage {
        ["type": .string(self.publicationType), "data": data]
    }
}

package import ChannelLayer

/// How a publication travels through the layer: `{"type": "carillon.publication", "data": …}`.
package enum Publication {
    /// What every route has a rule for.
    package static let messageType = "carillon.publication"

    /// - Parameter data: `.json` for JSON, which goes to browsers as text, or `.bytes`.
    package static func message(_ data: LayerValue) -> LayerMessage {
        ["type": .string(Publication.messageType), "data": data]
    }
}

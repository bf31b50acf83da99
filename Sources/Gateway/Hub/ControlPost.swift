package import ChannelLayer
import Synchronization

/// What gateways tell each other, through the layer:
///
///     {"type": "carillon.control", "command": "emulation", …}
///
/// in the group `carillon.control`, which all of them follow, or in `carillon.control.NODE`, which one does. No browser
/// can follow these groups or send to them: their names are none of channels (`ClientChannel`), nor of what a route's
/// template may make.
package final class ControlPost: Sendable {
    /// What this gateway is called.
    package let node: String
    /// Those it must follow.
    package let groups: [GroupName]
    private let layer: any ChannelLayer
    private let handlers = Mutex<[String: @Sendable (LayerMessage) -> Void]>([:])

    package static let messageType = "carillon.control"
    /// What the names of the groups begin with.
    package static let groupPrefix = "carillon.control"
    private static let nodeLength = 16

    package init(layer: any ChannelLayer) throws(LayerError) {
        self.layer = layer
        let digits = Array("0123456789abcdef")
        self.node = String((0..<Self.nodeLength).map { _ in digits[Int.random(in: 0..<16)] })
        self.groups = [try Self.group(of: nil), try Self.group(of: self.node)]
    }

    /// Whether a gateway could be called so.
    package static func isNode(_ text: String) -> Bool {
        text.utf8.count == Self.nodeLength
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    private static func group(of node: String?) throws(LayerError) -> GroupName {
        try GroupName(Self.groupPrefix + (node.map { "." + $0 } ?? ""))
    }

    /// Calls `body` with each message of a command; from any thread, and it must not block.
    package func handle(_ command: String, _ body: @escaping @Sendable (LayerMessage) -> Void) {
        self.handlers.withLock { $0[command] = body }
    }

    /// Tells one gateway, or all of them, this one too. At most once, as the layer is.
    ///
    /// - Parameter node: `nil` for all.
    package func send(_ command: String, _ entries: [LayerValue.Entry], to node: String?) {
        guard let group = try? Self.group(of: node) else { return }
        let message = LayerMessage(
            entries: [
                LayerValue.Entry(key: .string("type"), value: .string(Self.messageType)),
                LayerValue.Entry(key: .string("command"), value: .string(command)),
            ] + entries)
        self.layer.submit(message, toGroup: group, completion: nil)
    }

    /// A message of a group that no browser follows.
    func arrived(_ message: LayerMessage) {
        guard message.type == Self.messageType, case .string(let command)? = message.value(under: "command"),
            let handler = self.handlers.withLock({ $0[command] })
        else { return }
        handler(message)
    }
}

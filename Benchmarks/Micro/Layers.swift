import ChannelLayer
import JSON
import NIOCore

/// The memory layer by itself: what a publish costs before a gateway does anything, and a channel's way.
func layers(_ measure: Measure) {
    let layer = MemoryLayer()
    guard let text = try? JSONText(validating: ByteBuffer(string: Sample.publication(bytes: 128))),
        let followed = try? GroupName("user-4711"), let quiet = try? GroupName("user-1"),
        let channel = try? ChannelName("specific.process!1")
    else { return }
    let publication: LayerMessage = .publication(.json(text))
    for number in 0..<10_000 {
        guard let group = try? GroupName("user-\(number)") else { return }
        layer.openFeed(Deaf()).follow(group) { _ in }
    }
    layer.openFeed(Deaf()).follow(followed) { _ in }
    layer.openFeed(Deaf()).follow(followed) { _ in }

    measure("Memory layer: publish to a group of 3 gateways") {
        layer.submit(publication, toGroup: followed, completion: nil)
    }
    measure("Memory layer: publish to a group of 1 gateway") {
        layer.submit(publication, toGroup: quiet, completion: nil)
    }
    measure("Memory layer: fill a channel and be refused") { layer.submit(publication, to: channel, completion: nil) }
}

/// Hears and forgets.
private struct Deaf: GroupFeedListener {
    func arrived(_ message: LayerMessage, in group: GroupName) { keep(message) }
    func feedInterrupted(_ reason: LayerError) {}
    func feedRestored() {}
}

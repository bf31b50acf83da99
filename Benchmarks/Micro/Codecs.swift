import ChannelLayer
import JSON
import NIOCore

/// The forms of a message: JSON text, MessagePack, and between them.
func codecs(_ measure: Measure) {
    let small = ByteBuffer(string: Sample.publication(bytes: 128))
    let large = ByteBuffer(string: Sample.publication(bytes: 8192))
    measure("JSON: check 128 bytes") { keep(try JSONText(validating: small)) }
    measure("JSON: check 8 KiB") { keep(try JSONText(validating: large)) }
    measure("JSON: check 8 KiB of small values") { keep(try JSONText(validating: Sample.numbers)) }

    let message = Sample.message
    var packed = ByteBuffer()
    do { try message.encodeMessagePack(into: &packed) } catch { return print("MessagePack: \(error)") }
    var out = ByteBuffer()
    measure("MessagePack: write a Django message of \(packed.readableBytes) bytes") {
        out.clear()
        try message.encodeMessagePack(into: &out)
    }
    measure("MessagePack: read it") { keep(try LayerMessage(messagePack: packed)) }

    guard let text = try? JSONText(validating: small) else { return }
    let publication: LayerMessage = .publication(.json(text))
    measure("MessagePack: write a publication of 128 bytes of JSON") {
        out.clear()
        try publication.encodeMessagePack(into: &out)
    }
    measure("JSON: write the Django message") {
        out.clear()
        try message.encodeJSON(into: &out)
    }
}

enum Sample {
    /// An object of exactly `bytes` bytes, most of it one string.
    static func publication(bytes: Int) -> String {
        let start = #"{"type":"job.progress","job":4711,"done":0.25,"text":""#
        return start + String(repeating: "x", count: bytes - start.utf8.count - 2) + #""}"#
    }

    static let numbers = ByteBuffer(
        string: "[" + (0..<512).map { #"{"i":\#($0),"v":\#($0).5}"# }.joined(separator: ",") + "]")

    /// What `group_send` of a Django application carries.
    static let message: LayerMessage = [
        "type": .string("user.message"),
        "user": .int(42),
        "unread": .int(3),
        "urgent": .bool(false),
        "data": .string(String(repeating: "x", count: 64)),
        "tags": .array([.string("inbox"), .string("new")]),
    ]
}

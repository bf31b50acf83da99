import ChannelLayer
import Gateway
import JSON
import NIOCore

/// What becomes of a publication before it is sent, and of a frame that a browser sent.
func frames(_ measure: Measure) {
    let payload = ByteBuffer(string: Sample.publication(bytes: 128))
    guard let text = try? JSONText(validating: payload) else { return print("frames: the sample is no JSON") }
    let publication: LayerMessage = .publication(.json(text))
    let rules = RuleSet.builtIn
    let builder = FrameBuilder(compresses: false, epoch: 1)
    measure("gateway: rules, publication of 128 bytes") { keep(rules.outcome(for: publication)) }
    let outcome = rules.outcome(for: publication)
    measure("gateway: build its WebSocket frame") { keep(builder.frame(for: outcome, on: .webSocket)) }
    measure("gateway: build its event") { keep(builder.frame(for: outcome, on: .eventStream)) }

    let deflating = FrameBuilder(compresses: true, epoch: 1)
    let large = RuleOutcome.text(ByteBuffer(string: Sample.publication(bytes: 2048)))
    measure("gateway: build a compressed frame of 2 KiB") {
        keep(deflating.frame(for: large, on: .webSocketDeflate(windowBits: 15)))
    }

    for bytes in [128, 8192] {
        let frame = Sample.clientFrame(Sample.publication(bytes: bytes))
        measure("gateway: read a masked text frame of \(bytes) bytes") {
            var parser = WebSocketParser(messageLimit: 65_536)
            // The parser unmasks in place: a fresh copy each time, whose cost is in the number.
            var input = ByteBuffer(bytes: frame.readableBytesView)
            guard let event = try parser.next(&input) else { throw Incomplete() }
            keep(event)
        }
    }
}

extension Sample {
    /// A text frame as a browser sends it.
    static func clientFrame(_ text: String) -> ByteBuffer {
        let key: [UInt8] = [0x5a, 0x13, 0xc7, 0x2e]
        var frame = ByteBuffer()
        let count = text.utf8.count
        frame.writeInteger(UInt8(0x81))
        if count < 126 {
            frame.writeInteger(UInt8(0x80 | count))
        } else {
            frame.writeInteger(UInt8(0xfe))
            frame.writeInteger(UInt16(count))
        }
        frame.writeBytes(key)
        frame.writeBytes(text.utf8.enumerated().map { $1 ^ key[$0 & 3] })
        return frame
    }
}

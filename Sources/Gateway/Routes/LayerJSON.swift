import ChannelLayer
import HTTP1
import NIOCore

extension LayerJSON {
    /// - Returns: compact JSON; `nil` when it is nested too deeply.
    static func text(of value: LayerValue) -> ByteBuffer? {
        self.text(of: value) { bytes, buffer in buffer.writeBase64(bytes) }
    }
}

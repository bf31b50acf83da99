/// How a message becomes bytes; both sides of a layer must be configured alike for what they write.
public enum RedisSerializer: String, Sendable, CaseIterable {
    /// MessagePack: carries everything.
    case messagePack = "msgpack"
    /// JSON text, as Python's `json` writes it: cannot carry bytes.
    case json
}

import JSON
import NIOCore

/// The JSON of what goes to a browser that speaks the Centrifugo client protocol; each is one line. Empty fields are left out.
enum ClientReply {
    /// What a connection is told of itself, after `connect` and `refresh`.
    struct Connection {
        let client: String
        /// Seconds until the browser must send a new token; `nil` when it need not.
        var ttl: Int64?
        /// Seconds between pings, which it must answer; `nil` in the reply to `refresh`.
        var ping: Int?

        fileprivate var json: String {
            let expires = self.ttl.map { #","expires":true,"ttl":\#($0)"# } ?? ""
            let pings = self.ping.map { #","ping":\#($0),"pong":true"# } ?? ""
            return #"{"client":"\#(self.client)","version":"\#(ClientReply.version)"\#(expires)\#(pings)}"#
        }
    }

    /// SDKs want a text here that is not empty, and strangers need not know which release it is.
    private static let version = "carillon"

    static func connect(_ id: UInt32, _ connection: Connection) -> ByteBuffer {
        self.result(id, "connect", connection.json)
    }

    static func refresh(_ id: UInt32, _ connection: Connection) -> ByteBuffer {
        self.result(id, "refresh", connection.json)
    }

    /// - Parameter wasRecovering: the browser wanted what it missed, and learns that there is nothing to be had.
    static func subscribe(_ id: UInt32, wasRecovering: Bool) -> ByteBuffer {
        self.result(id, "subscribe", wasRecovering ? #"{"was_recovering":true}"# : "{}")
    }

    static func unsubscribe(_ id: UInt32) -> ByteBuffer { self.result(id, "unsubscribe", "{}") }
    static func publish(_ id: UInt32) -> ByteBuffer { self.result(id, "publish", "{}") }

    static func error(_ id: UInt32, _ error: ClientError) -> ByteBuffer {
        let temporary = error.isTemporary ? #","temporary":true"# : ""
        return ByteBuffer(
            string: #"{"id":\#(id),"error":{"code":\#(error.rawValue),"message":"\#(error.message)"\#(temporary)}}"#)
    }

    /// `{}`, which the browser answers in kind.
    static let ping = ByteBuffer(string: "{}")

    private static func result(_ id: UInt32, _ method: String, _ fields: String) -> ByteBuffer {
        ByteBuffer(string: #"{"id":\#(id),"\#(method)":\#(fields)}"#)
    }
}

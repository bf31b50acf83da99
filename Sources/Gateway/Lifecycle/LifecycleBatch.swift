import Crypto
import JSON
import NIOCore

/// What the application is told with one request.
///
///     {"stream":"kPzq","missing":{"first":3,"last":7},"events":[{"number":8,"time":1767225600123,"event":"online","user":"42"},…]}
struct LifecycleBatch: Equatable, Sendable {
    /// Which numbering it is.
    var stream: String
    /// Events that were dropped, right before these.
    var missing: ClosedRange<UInt64>?
    var first: UInt64
    /// At least one.
    var events: [LifecycleEvent]

    /// The number of the last event.
    var last: UInt64 { self.first + UInt64(self.events.count) - 1 }

    var body: ByteBuffer {
        var json = ByteBuffer(string: #"{"stream":"#)
        json.writeJSONString(self.stream)
        if let missing {
            json.writeString(#","missing":{"first":\#(missing.lowerBound),"last":\#(missing.upperBound)}"#)
        }
        json.writeStaticString(#","events":["#)
        for (index, event) in self.events.enumerated() {
            if index > 0 { json.writeStaticString(",") }
            event.write(self.first + UInt64(index), to: &json)
        }
        json.writeStaticString("]}")
        return json
    }
}

/// Proves to the application who sends, and when: a time, and the HMAC of time, dot and body.
///
///     Carillon-Signature: t=1767225600,v1=5257a869…
enum LifecycleSignature {
    static let field = "Carillon-Signature"

    /// - Parameter time: seconds since 1970.
    static func value(of body: ByteBuffer, key: SymmetricKey, time: Int64) -> String {
        var code = HMAC<SHA256>(key: key)
        code.update(data: Array("\(time).".utf8))
        code.update(data: Array(body.readableBytesView))
        let digits = code.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "t=\(time),v1=\(digits)"
    }
}

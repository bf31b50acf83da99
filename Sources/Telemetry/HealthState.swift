import JSON
import NIOCore
import Synchronization

/// Whether the process can do its work. Alive is whoever answers; ready are those whose parts all are.
package final class HealthState: Sendable {
    /// What keeps a part from working, by the part's name.
    private let reasons: Mutex<[String: String]>

    /// - Parameter parts: the names of parts that report; none is ready before it says so.
    package init(parts: [String] = []) {
        self.reasons = Mutex(Dictionary(parts.map { ($0, "starting") }) { one, _ in one })
    }

    /// The part works.
    package func ready(_ part: String) { self.reasons.withLock { $0[part] = nil } }

    /// The part does not work.
    ///
    /// - Parameter reason: a few words for an operator: `connection to Redis lost`, `draining`.
    package func unready(_ part: String, _ reason: String) { self.reasons.withLock { $0[part] = reason } }

    package var isReady: Bool { self.reasons.withLock { $0.isEmpty } }

    /// `{"alive":true,"ready":false,"reasons":{"layer":"starting"}}`
    func json() -> ByteBuffer {
        let reasons = self.reasons.withLock { $0 }.sorted { $0.key < $1.key }
        var members = [Self.member("alive", .bool(true)), Self.member("ready", .bool(reasons.isEmpty))]
        if !reasons.isEmpty {
            members.append(Self.member("reasons", .object(reasons.map { Self.member($0.key, .string($0.value)) })))
        }
        var buffer = ByteBuffer()
        buffer.writeJSON(JSONValue(.object(members)))
        buffer.writeStaticString("\n")
        return buffer
    }

    private static func member(_ key: String, _ kind: JSONValue.Kind) -> JSONValue.Member {
        JSONValue.Member(key: key, value: JSONValue(kind))
    }
}

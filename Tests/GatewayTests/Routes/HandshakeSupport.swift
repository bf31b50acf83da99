import HTTP1

@testable import Gateway

extension Handshake {
    /// A handshake from 192.0.2.1 as a test needs it.
    static func with(
        _ fields: [(String, String)] = [], target: String = "/channels/updates/", kind: Kind = .webSocket,
        throughProxy: Bool = false, captures: [String] = []
    ) -> Handshake {
        Handshake(
            head: RequestHead(method: "GET", target: target, version: .http11, fields: HeaderFields(fields)),
            kind: kind,
            client: ClientAddress(address: IPAddress("192.0.2.1"), isFromTrustedProxy: throughProxy), captures: captures
        )
    }
}

/// Why `body` refuses; `nil` when it does not.
func refusal(_ body: () throws -> Void) -> Refusal? {
    do { try body() } catch { return error as? Refusal }
    return nil
}

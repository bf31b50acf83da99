/// The header line of an event: `ver:3.0 server:supervisor serial:21 pool:agent poolserial:10 eventname:TICK_5 len:15`.
package struct EventHeader: Equatable, Sendable {
    /// What supervisord calls itself (`identifier`).
    package let server: String
    /// Counts all events of this supervisord from 0; the same again when the event is sent again.
    package let serial: Int
    /// Counts the events of this listener's pool from 0; a step of more than one is a loss.
    package let poolSerial: Int
    package let name: String
    /// Of the payload, in code points.
    package let length: Int

    /// `nil` when the line is no such header. Pairs that are not known are skipped.
    init?(line: String) {
        let pairs = EventPairs(line)
        guard let name = pairs["eventname"], let length = pairs.integer("len"), length >= 0 else { return nil }
        self.server = pairs["server"] ?? ""
        self.serial = pairs.integer("serial") ?? -1
        self.poolSerial = pairs.integer("poolserial") ?? -1
        self.name = name
        self.length = length
    }
}

/// `key:value` pairs with spaces between them; a value may hold colons.
struct EventPairs {
    private let pairs: [(key: Substring, value: Substring)]

    init(_ line: some StringProtocol) {
        self.pairs = line.split(separator: " ").compactMap { pair in
            guard let colon = pair.firstIndex(of: ":") else { return nil }
            return (Substring(pair[..<colon]), Substring(pair[pair.index(after: colon)...]))
        }
    }

    subscript(key: String) -> String? { self.pairs.first { $0.key == key }.map { String($0.value) } }

    func integer(_ key: String) -> Int? { self[key].flatMap { Int($0) } }
}

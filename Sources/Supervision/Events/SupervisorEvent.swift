/// What happened in a supervisord.
package struct SupervisorEvent: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case process(ProcessChange)
        /// `PROCESS_GROUP_ADDED` and `_REMOVED`.
        case group(String, isAdded: Bool)
        /// `SUPERVISOR_STATE_CHANGE_…`: `RUNNING` or `STOPPING`.
        case supervisor(String)
        /// Somebody called `sendRemoteCommEvent`.
        case remoteCommunication(type: String, body: String)
        /// `TICK_…`.
        case tick
        /// A type that nobody here asks for; a pool can get such events by a fault of supervisord's.
        case other
    }

    package let header: EventHeader
    package let kind: Kind

    package init(header: EventHeader, payload: String) {
        self.header = header
        self.kind = Self.kind(header.name, payload)
    }

    private static func kind(_ name: String, _ payload: String) -> Kind {
        if let state = name.removing(prefix: "PROCESS_STATE_") {
            return ProcessChange(to: state, payload: payload).map(Kind.process) ?? .other
        }
        if let state = name.removing(prefix: "SUPERVISOR_STATE_CHANGE_") { return .supervisor(state) }
        if name.hasPrefix("TICK_") { return .tick }
        let (line, body) = Self.split(payload)
        switch name {
        case "PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED":
            guard let group = EventPairs(line)["groupname"] else { return .other }
            return .group(group, isAdded: name == "PROCESS_GROUP_ADDED")
        case "REMOTE_COMMUNICATION":
            // The type may hold spaces, so it is no ordinary pair.
            guard let type = line.removing(prefix: "type:") else { return .other }
            return .remoteCommunication(type: type, body: body)
        default: return .other
        }
    }

    private static func split(_ payload: String) -> (line: String, body: String) {
        guard let end = payload.utf8.firstIndex(of: UInt8(ascii: "\n")) else { return (payload, "") }
        return (String(payload[..<end]), String(payload[payload.utf8.index(after: end)...]))
    }
}

/// A process went from one state to another.
package struct ProcessChange: Equatable, Sendable {
    package let group: String
    package let name: String
    package let from: String
    package let to: String
    /// The process that runs, or that has just ended; `nil` when the event has none.
    package let pid: Int?
    /// Whether an exit was one of those the configuration expects; only for `EXITED`.
    package let isExpected: Bool?
    /// Failed starts so far; only for `STARTING` and `BACKOFF`.
    package let tries: Int?

    init?(to state: String, payload: String) {
        let pairs = EventPairs(payload)
        guard let name = pairs["processname"], let group = pairs["groupname"] else { return nil }
        self.group = group
        self.name = name
        self.from = pairs["from_state"] ?? "UNKNOWN"
        self.to = state
        self.pid = pairs.integer("pid").flatMap { $0 > 0 ? $0 : nil }
        self.isExpected = pairs["expected"].map { $0 == "1" }
        self.tries = pairs.integer("tries")
    }
}

extension String {
    fileprivate func removing(prefix: String) -> String? {
        self.hasPrefix(prefix) ? String(self.dropFirst(prefix.count)) : nil
    }
}

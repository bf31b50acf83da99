import JSON
package import NIOCore

/// What an agent tells the world about one change on its host.
///
/// As JSON, with keys that are absent when there is nothing to say:
///
///     {"type":"process.state","host":"web1","supervisor":"supervisor","serial":21,"time":1795234693.82,
///      "group":"app","name":"worker_0","from":"RUNNING","to":"EXITED","pid":812,"expected":false,"exit_status":3}
///     {"type":"supervisor.state","host":"web1","supervisor":"supervisor","serial":7,"time":…,"to":"RUNNING"}
///     {"type":"process.group","host":"web1","supervisor":"supervisor","serial":9,"time":…,"group":"app","to":"ADDED"}
///     {"type":"process.snapshot","host":"web1","supervisor":"supervisor","time":…,"to":"RUNNING","processes":[
///      {"group":"app","name":"worker_0","state":"RUNNING","pid":812,"start":…,"uptime":53}]}
package struct Notice: Equatable, Sendable {
    /// What a newer notice makes an older one of worthless.
    package enum Subject: Hashable, Sendable {
        case process(group: String, name: String)
        case group(String)
        case supervisor
    }

    package enum Change: Equatable, Sendable {
        case process(ProcessChange)
        case group(String, isAdded: Bool)
        case supervisor(String)
    }

    package let change: Change
    /// supervisord's name.
    package let supervisor: String
    /// The event's number there: the same number is the same event.
    package let serial: Int
    /// Seconds since 1970 when the event was read.
    package let time: Double
    /// Of a process that exited, when supervisord could still tell.
    package var exitStatus: Int?

    package init(_ change: Change, header: EventHeader, time: Double) {
        self.change = change
        self.supervisor = header.server
        self.serial = header.serial
        self.time = time
    }

    package var subject: Subject {
        switch self.change {
        case .process(let change): .process(group: change.group, name: change.name)
        case .group(let name, _): .group(name)
        case .supervisor: .supervisor
        }
    }

    /// The notice as JSON text.
    package func json(host: String) -> ByteBuffer {
        var members = NoticeMembers(type: self.type, host: host, supervisor: self.supervisor, time: self.time)
        members.add("serial", self.serial)
        switch self.change {
        case .process(let change):
            members.add("group", change.group)
            members.add("name", change.name)
            members.add("from", change.from)
            members.add("to", change.to)
            members.add("pid", change.pid)
            members.add("tries", change.tries)
            members.add("expected", change.isExpected)
            members.add("exit_status", self.exitStatus)
        case .group(let name, let isAdded):
            members.add("group", name)
            members.add("to", isAdded ? "ADDED" : "REMOVED")
        case .supervisor(let state): members.add("to", state)
        }
        return members.text
    }

    private var type: String {
        switch self.change {
        case .process: "process.state"
        case .group: "process.group"
        case .supervisor: "supervisor.state"
        }
    }
}

/// All processes of one supervisord at one moment.
package struct Snapshot: Equatable, Sendable {
    package var supervisor: String
    /// supervisord's own state.
    package var state: String
    package var processes: [ProcessInfo]
    package var time: Double

    package init(supervisor: String, state: String, processes: [ProcessInfo], time: Double) {
        self.supervisor = supervisor
        self.state = state
        self.processes = processes
        self.time = time
    }

    /// The snapshot as JSON text, as `Notice` describes it.
    package func json(host: String) -> ByteBuffer {
        var members = NoticeMembers(type: "process.snapshot", host: host, supervisor: self.supervisor, time: self.time)
        members.add("to", self.state)
        members.add("processes", JSONValue(.array(self.processes.map(Self.value))))
        return members.text
    }

    private static func value(of process: ProcessInfo) -> JSONValue {
        var members = NoticeMembers()
        members.add("group", process.group)
        members.add("name", process.name)
        members.add("state", process.state)
        members.add("pid", process.pid)
        members.add("start", process.start > 0 ? process.start : nil)
        if process.pid != nil, process.start > 0 {
            // By supervisord's own clock, so that nobody's other clock matters.
            members.add("uptime", max(0, process.now.subtractingReportingOverflow(process.start).partialValue))
        } else {
            members.add("stop", process.stop > 0 ? process.stop : nil)
            members.add("exit_status", process.state == "EXITED" ? process.exitStatus : nil)
        }
        members.add("error", process.spawnError.isEmpty ? nil : process.spawnError)
        return members.value
    }
}

/// Collects the members of a JSON object, leaving out what is not there.
private struct NoticeMembers {
    private var members: [JSONValue.Member] = []

    init() {}

    init(type: String, host: String, supervisor: String, time: Double) {
        self.add("type", type)
        self.add("host", host)
        self.add("supervisor", supervisor)
        self.add("time", JSONValue(.double(time)))
    }

    mutating func add(_ key: String, _ value: String?) { self.add(key, value.map { JSONValue(.string($0)) }) }
    mutating func add(_ key: String, _ value: Int?) { self.add(key, value.map { JSONValue(.integer(Int64($0))) }) }
    mutating func add(_ key: String, _ value: Bool?) { self.add(key, value.map { JSONValue(.bool($0)) }) }
    mutating func add(_ key: String, _ value: JSONValue?) {
        guard let value else { return }
        self.members.append(.init(key: key, value: value))
    }

    var value: JSONValue { JSONValue(.object(self.members)) }

    var text: ByteBuffer {
        var text = ByteBuffer()
        text.writeJSON(self.value)
        return text
    }
}

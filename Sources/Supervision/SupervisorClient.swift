import HTTP1
package import Logging
package import NIOCore
package import Upstream

/// Asks a supervisord over XML-RPC.
package struct SupervisorClient: Sendable {
    /// A list of a thousand processes is about 2 MiB.
    private static let answerLimit = 16 * 1_024 * 1_024
    private static let timeout = TimeAmount.seconds(5)

    private let client: UpstreamClient
    private let authorization: String?

    /// - Parameters:
    ///   - address: supervisord's Unix socket, or its TCP address.
    ///   - credentials: user name and password, when it wants them.
    package init(
        _ address: UpstreamAddress, credentials: (user: String, password: String)?, group: any EventLoopGroup,
        logger: Logger
    ) {
        var configuration = UpstreamConfiguration(addresses: [address])
        configuration.firstByteTime = Self.timeout
        // It is asked seldom, and one that starts anew must be reached at once.
        configuration.backOff = .milliseconds(100)
        configuration.maxBackOff = .seconds(1)
        self.client = UpstreamClient(configuration, group: group, logger: logger)
        self.authorization = credentials.map { pair in
            "Basic " + Base64.encode(ByteBuffer(string: "\(pair.user):\(pair.password)"))
        }
    }

    /// Every process, in the order of groups and names.
    ///
    /// - Throws: as `call`; `SupervisorError.malformed` for an answer that is no list.
    package func allProcesses() async throws -> [ProcessInfo] {
        guard let list = try await self.call("supervisor.getAllProcessInfo").elements else {
            throw SupervisorError.malformed("getAllProcessInfo answered no list")
        }
        return list.compactMap(ProcessInfo.init)
    }

    /// One process, named `group:name`.
    package func process(_ group: String, _ name: String) async throws -> ProcessInfo {
        let answer = try await self.call("supervisor.getProcessInfo", [.string("\(group):\(name)")])
        guard let info = ProcessInfo(answer) else {
            throw SupervisorError.malformed("getProcessInfo answered no process")
        }
        return info
    }

    /// `RUNNING`, `RESTARTING`, `SHUTDOWN` or `FATAL`.
    package func state() async throws -> String {
        try await self.call("supervisor.getState")["statename"]?.string ?? "UNKNOWN"
    }

    /// What the supervisord calls itself.
    package func identification() async throws -> String {
        try await self.call("supervisor.getIdentification").string ?? ""
    }

    /// - Throws: `UpstreamError` when it cannot be reached, `SupervisorError` when it refuses or answers something else,
    ///   `XMLRPCFault` when the call fails there.
    package func call(_ method: String, _ arguments: [XMLRPCValue] = []) async throws -> XMLRPCValue {
        var request = UpstreamRequest(method: "POST", target: "/RPC2")
        request.fields.append("Content-Type", "text/xml")
        if let authorization = self.authorization { request.fields.append("Authorization", authorization) }
        request.body.writeXMLRPCCall(method, arguments)
        let answer = try await self.client.ask(request, timeout: Self.timeout, limit: Self.answerLimit)
        switch answer.status {
        case 200: return try XMLRPCAnswer.parse(answer.body)
        case 401: throw SupervisorError.refused
        default: throw SupervisorError.malformed("HTTP status \(answer.status)")
        }
    }
}

/// Why supervisord could not be asked.
package enum SupervisorError: Error, Equatable, CustomStringConvertible {
    case refused
    case malformed(String)

    package var description: String {
        switch self {
        case .refused: "supervisord wants a user name and password (agent.supervisor_user, agent.supervisor_password)"
        case .malformed(let what): "supervisord's answer cannot be used: \(what)"
        }
    }
}

/// What supervisord knows of a process.
package struct ProcessInfo: Equatable, Sendable {
    package var group: String
    package var name: String
    package var state: String
    /// `nil` when nothing runs.
    package var pid: Int?
    /// Seconds since 1970 by supervisord's clock; 0 for never.
    package var start: Int
    package var stop: Int
    package var now: Int
    /// Of the last exit; `-1` after a signal. Reads 0 while the process runs.
    package var exitStatus: Int
    package var spawnError: String
    package var description: String

    package init?(_ value: XMLRPCValue) {
        guard let group = value["group"]?.string, let name = value["name"]?.string else { return nil }
        self.group = group
        self.name = name
        self.state = value["statename"]?.string ?? "UNKNOWN"
        self.pid = value["pid"]?.integer.flatMap { $0 > 0 ? $0 : nil }
        self.start = value["start"]?.integer ?? 0
        self.stop = value["stop"]?.integer ?? 0
        self.now = value["now"]?.integer ?? 0
        self.exitStatus = value["exitstatus"]?.integer ?? 0
        self.spawnError = value["spawnerr"]?.string ?? ""
        self.description = value["description"]?.string ?? ""
    }
}

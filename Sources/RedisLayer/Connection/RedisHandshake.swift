import NIOCore

/// What is said at the beginning of a connection, in one pipeline: who we are, which database, and a question whether
/// the server serves at all.
struct RedisHandshake {
    enum Step: Equatable {
        case authenticate
        case select
        case name
        /// The server must be a master (Sentinel).
        case role
        case ping
    }

    let endpoint: RedisEndpoint
    let credentials: RedisEndpoint.Credentials?
    let steps: [Step]

    /// For a Redis server.
    init(_ endpoint: RedisEndpoint) {
        self.endpoint = endpoint
        self.credentials = endpoint.credentials
        var steps: [Step] = []
        if endpoint.credentials != nil { steps.append(.authenticate) }
        if endpoint.database != 0 { steps.append(.select) }
        if endpoint.clientName != nil { steps.append(.name) }
        if case .sentinels = endpoint.place { steps.append(.role) }
        self.steps = steps + [.ping]
    }

    /// For one of the endpoint's sentinels.
    init(_ endpoint: RedisEndpoint, of sentinels: RedisEndpoint.Sentinels) {
        self.endpoint = endpoint
        self.credentials = sentinels.credentials
        self.steps = sentinels.credentials == nil ? [] : [.authenticate]
    }

    func command(_ step: Step) -> RedisCommand {
        switch step {
        case .authenticate:
            var command = RedisCommand("AUTH")
            if let name = self.credentials?.username { command.append(name) }
            command.append(self.credentials?.password ?? "")
            return command
        case .select:
            var command = RedisCommand("SELECT")
            command.append(self.endpoint.database)
            return command
        case .name:
            var command = RedisCommand("CLIENT")
            command.append("SETNAME" as StaticString)
            command.append(self.endpoint.clientName ?? "")
            return command
        case .role: return RedisCommand("ROLE")
        case .ping: return RedisCommand("PING")
        }
    }

    /// What the answer to a step means: `nil` is good.
    func problem(_ step: Step, _ result: Result<RedisReply, RedisError>) -> RedisError? {
        let setting = self.endpoint.setting
        switch (step, result) {
        case (.role, .success(let reply)):
            guard reply.array?.first?.text != "master" else { return nil }
            return RedisError(.unavailable, "the Redis that the sentinels of \(setting) name is no master yet")
        case (_, .success): return nil
        case (.name, .failure(let error)) where Self.isAnswer(error): return nil
        case (.authenticate, .failure(let error)) where Self.isAnswer(error):
            return RedisError(.refused, "Redis refuses the user or password in \(setting). \(error.message)")
        case (.select, .failure(let error)) where error.code == .server:
            let number = self.endpoint.database
            return RedisError(.misconfigured, "Redis has no database \(number), see db in \(setting). \(error.message)")
        case (_, .failure(let error)) where error.message.contains("NOAUTH"):
            return RedisError(.refused, "Redis wants a password and \(setting) has none. \(error.message)")
        case (.ping, .failure(let error)) where error.message.contains("NOPERM"): return nil
        case (_, .failure(let error)): return error
        }
    }

    /// Whether it is the server's answer, and not the connection's end.
    private static func isAnswer(_ error: RedisError) -> Bool {
        switch error.code {
        case .server, .refused: true
        default: false
        }
    }
}

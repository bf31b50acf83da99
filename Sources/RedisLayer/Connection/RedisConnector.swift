import NIOCore
import NIOSSL

/// Makes connections that are ready for commands: finds the server, opens the channel, says who we are.
///
/// Lives on its event loop.
final class RedisConnector {
    typealias Done = (Result<RedisConnection, RedisError>) -> Void

    private let endpoint: RedisEndpoint
    private let transport: RedisTransport
    private let limit: TimeAmount
    private var contexts: [RedisTLS: NIOSSLContext] = [:]
    /// The sentinel to ask first: the one that answered last.
    private var sentinel = 0

    /// How long one sentinel may take, so that the next is asked soon; and the master they name, which may be the one that
    /// just fell silent: then they are asked again.
    private static let sentinelLimit = TimeAmount.seconds(1)

    init(_ endpoint: RedisEndpoint, limit: TimeAmount, eventLoop: any EventLoop) {
        self.endpoint = endpoint
        self.limit = limit
        let needsMaster = if case .sentinels = endpoint.place { true } else { false }
        self.transport = RedisTransport(
            eventLoop: eventLoop, connectLimit: limit, setting: endpoint.setting, needsMaster: needsMaster)
    }

    /// `done` is called once, on the event loop.
    func connect(_ done: @escaping Done) {
        switch self.endpoint.place {
        case .server(let address): self.connect(to: address, self.limit, done)
        case .sentinels(let sentinels):
            self.askSentinels(sentinels, from: 0) { result in
                switch result {
                case .success(let address): self.connect(to: address, min(self.limit, Self.sentinelLimit), done)
                case .failure(let error): done(.failure(error))
                }
            }
        }
    }

    private func connect(to address: RedisEndpoint.Address, _ limit: TimeAmount, _ done: @escaping Done) {
        self.open(address, self.endpoint.tls, RedisHandshake(self.endpoint), limit, done)
    }

    private func open(
        _ address: RedisEndpoint.Address, _ tls: RedisTLS?, _ handshake: RedisHandshake, _ limit: TimeAmount,
        _ done: @escaping Done
    ) {
        let context: NIOSSLContext?
        do throws(RedisError) {
            context = try tls.map { tls throws(RedisError) in try self.context(tls) }
        } catch {
            return done(.failure(error))
        }
        self.transport.open(address, context) { result in
            guard case .success(let connection) = result else { return done(result) }
            Self.run(handshake, on: connection, limit, done)
        }
    }

    private func context(_ tls: RedisTLS) throws(RedisError) -> NIOSSLContext {
        if let context = self.contexts[tls] { return context }
        let context = try RedisTransport.context(tls, setting: self.endpoint.setting)
        self.contexts[tls] = context
        return context
    }

    private static func run(
        _ handshake: RedisHandshake, on connection: RedisConnection, _ limit: TimeAmount, _ done: @escaping Done
    ) {
        var problem: RedisError?
        var left = handshake.steps.count
        guard left > 0 else { return done(.success(connection)) }
        for step in handshake.steps {
            connection.send(handshake.command(step), timeLimit: limit) { result in
                if problem == nil { problem = handshake.problem(step, result) }
                left -= 1
                guard left == 0 else { return }
                guard let problem else { return done(.success(connection)) }
                connection.close(problem)
                done(.failure(problem))
            }
        }
    }

    // MARK: Sentinel

    /// Asks one sentinel after the other for the master.
    private func askSentinels(
        _ sentinels: RedisEndpoint.Sentinels, from asked: Int, last: RedisError? = nil,
        _ done: @escaping (Result<RedisEndpoint.Address, RedisError>) -> Void
    ) {
        guard asked < sentinels.addresses.count else {
            let why = last?.message ?? "there are none"
            return done(
                .failure(
                    RedisError(
                        .unavailable,
                        "no sentinel of \(self.endpoint.setting) names the master \"\(sentinels.masterName)\": \(why)"))
            )
        }
        let index = (self.sentinel + asked) % sentinels.addresses.count
        self.ask(sentinels.addresses[index], sentinels) { result in
            switch result {
            case .success(let address):
                self.sentinel = index
                done(.success(address))
            case .failure(let error): self.askSentinels(sentinels, from: asked + 1, last: error, done)
            }
        }
    }

    private func ask(
        _ address: RedisEndpoint.Address, _ sentinels: RedisEndpoint.Sentinels,
        _ done: @escaping (Result<RedisEndpoint.Address, RedisError>) -> Void
    ) {
        let limit = min(self.limit, Self.sentinelLimit)
        self.open(address, sentinels.tls, RedisHandshake(self.endpoint, of: sentinels), limit) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let connection):
                var question = RedisCommand("SENTINEL")
                question.append("get-master-addr-by-name" as StaticString)
                question.append(sentinels.masterName)
                connection.send(question, timeLimit: limit) { result in
                    connection.close(RedisError(.closed, "the sentinel answered"))
                    done(result.flatMap { Self.address($0, sentinels.masterName) })
                }
            }
        }
    }

    private static func address(_ reply: RedisReply, _ name: String) -> Result<RedisEndpoint.Address, RedisError> {
        guard let parts = reply.array, parts.count == 2, let host = parts[0].text, let port = parts[1].integer,
            (1...65_535).contains(port)
        else { return .failure(RedisError(.misconfigured, "the sentinel does not know the master \"\(name)\"")) }
        return .success(.tcp(host: host, port: Int(port)))
    }
}

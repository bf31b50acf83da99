import ChannelLayer
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

@testable import RedisLayer

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

/// Loops for all tests of this target.
let testLoops: any EventLoopGroup = MultiThreadedEventLoopGroup(numberOfThreads: 2)

/// Runs `body` with a server of its own.
func withRedis(
    _ options: RedisServerProcess.Options = .init(), _ body: (RedisServerProcess) async throws -> Void
) async throws {
    let server = try await RedisServerProcess.start(options)
    defer { server.stop() }
    try await body(server)
}

extension RedisServerProcess {
    var endpoint: RedisEndpoint { RedisEndpoint(.server(.tcp(host: "127.0.0.1", port: self.port))) }
}

/// A client and what it told.
final class TestClient: Sendable {
    let client: RedisClient
    let events: EventLog

    init(_ endpoint: RedisEndpoint, _ change: (inout RedisClientOptions) -> Void = { _ in }) {
        var options = RedisClientOptions()
        change(&options)
        let events = EventLog()
        self.events = events
        self.client = RedisClient(endpoint, options: options, eventLoop: testLoops.next(), logger: .silent) {
            events.append($0)
        }
    }

    /// Runs a command and gives what it answers.
    @discardableResult
    func run(_ words: String..., timeLimit: TimeAmount? = nil) async throws -> RedisReply {
        try await self.client.send(.words(words), timeLimit: timeLimit)
    }

    /// The error that a command ends with.
    func failure(_ words: String..., timeLimit: TimeAmount? = nil) async -> RedisError? {
        do throws(RedisError) {
            _ = try await self.client.send(.words(words), timeLimit: timeLimit)
            return nil
        } catch {
            return error
        }
    }
}

func withClient(
    _ endpoint: RedisEndpoint, _ change: (inout RedisClientOptions) -> Void = { _ in },
    _ body: (TestClient) async throws -> Void
) async throws {
    let client = TestClient(endpoint, change)
    do {
        try await body(client)
    } catch {
        await client.client.close()
        throw error
    }
    await client.client.close()
}

extension RedisCommand {
    /// A command from texts.
    static func words(_ words: [String]) -> RedisCommand {
        var command = RedisCommand()
        for word in words { command.append(word) }
        return command
    }
}

/// What a client told, and a way to wait for more.
final class EventLog: Sendable {
    private struct State {
        var events: [RedisClientEvent] = []
        var waiters: [(isDue: @Sendable ([RedisClientEvent]) -> Bool, continuation: CheckedContinuation<Void, Never>)] =
            []
    }

    private let state = Mutex(State())

    var all: [RedisClientEvent] { self.state.withLock { $0.events } }
    var connections: Int { self.all.count { if case .connected = $0 { true } else { false } } }
    var losses: [RedisError] { self.all.compactMap { if case .lost(let error) = $0 { error } else { nil } } }
    var failures: [RedisError] { self.all.compactMap { if case .failed(let error, _) = $0 { error } else { nil } } }

    func append(_ event: RedisClientEvent) {
        let due = self.state.withLock { state in
            state.events.append(event)
            let events = state.events
            let due = state.waiters.filter { $0.isDue(events) }
            state.waiters.removeAll { $0.isDue(events) }
            return due.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }

    /// Waits until the events are as wanted.
    func wait(until isDue: @escaping @Sendable ([RedisClientEvent]) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isNow = self.state.withLock { state in
                if isDue(state.events) { return true }
                state.waiters.append((isDue, continuation))
                return false
            }
            if isNow { continuation.resume() }
        }
    }

    func connections(_ count: Int) async {
        await self.wait { $0.count { if case .connected = $0 { true } else { false } } >= count }
    }

    func losses(_ count: Int) async {
        await self.wait { $0.count { if case .lost = $0 { true } else { false } } >= count }
    }

    func failures(_ count: Int) async {
        await self.wait { $0.count { if case .failed = $0 { true } else { false } } >= count }
    }
}

import Foundation
import Logging
import NIOCore
import Synchronization
import Testing

@testable import Workers

/// Servers that share one listening socket, as supervisord's workers do, and replace each other under visitors.
@Suite(.timeLimit(.minutes(2)))
struct WorkerReplacementTests {
    private static let replacements = 60

    private final class End: Sendable {
        let hasCome = Atomic(false)
    }

    /// A proxy that keeps its connection as long as it may, or has a new one for each request. It sends what is not safe
    /// to send twice, so that a request without an answer is lost.
    private struct Visitor {
        let address: SocketAddress
        let keepsConnection: Bool

        func visit(until end: End) async throws -> Int {
            var kept: Client?
            var answers = 0
            while !end.hasCome.load(ordering: .relaxed) {
                let client = if let kept { kept } else { try await Client(self.address) }
                try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
                let answer = try await client.answer()
                try #require(answer.status == 200)
                answers += 1
                kept = self.keepsConnection && answer["Connection"] != "close" ? client : nil
            }
            return answers
        }
    }

    @Test func noRequestIsLost() async throws {
        let listener = try inheritedListener()
        defer { close(listener) }
        var configuration = WorkersConfiguration()
        configuration.listen = .descriptor(listener)
        configuration.threads = 2

        func start() async throws -> WorkerServer {
            let server = try WorkerServer(
                Ask { _ in .text("") }, configuration: configuration,
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
            try await server.start()
            return server
        }

        var present = try await start()
        let address = try #require(present.boundAddress)
        let end = End()
        let answers = try await withThrowingTaskGroup(of: Int.self) { group in
            for keepsConnection in [true, true, false, false] {
                let visitor = Visitor(address: address, keepsConnection: keepsConnection)
                group.addTask { try await visitor.visit(until: end) }
            }
            for _ in 0..<Self.replacements {
                let next = try await start()
                await present.drain(within: .seconds(20))
                present = next
            }
            end.hasCome.store(true, ordering: .relaxed)
            return try await group.reduce(0, +)
        }
        #expect(answers > Self.replacements)
        await present.drain(within: .milliseconds(100))
    }
}

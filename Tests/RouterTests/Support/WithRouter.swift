import Foundation
import Logging
import NIOCore
import NIOPosix

@testable import Router
@testable import Upstream

/// A router on a free port, for the time of a test.
struct RunningRouter: Sendable {
    let router: Router
    let port: Int

    func connect() throws -> Socket { try Socket.connect(port: self.port) }

    /// One request on a connection of its own.
    func get(_ path: String, _ more: String = "") throws -> Message {
        let browser = try self.connect()
        try browser.send("GET \(path) HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\(more)\r\n")
        return try browser.readMessage()
    }
}

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

/// Runs blocking code on a thread of its own, so that the test's thread stays free.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}

func configuration(_ upstreams: [UpstreamAddress]) -> RouterConfiguration {
    var result = RouterConfiguration(
        listen: [.tcp(host: "127.0.0.1", port: 0)], workers: UpstreamConfiguration(addresses: upstreams))
    result.trustedProxies = .none
    return result
}

/// Starts a router, runs `body` on a thread of its own, and stops the router.
func withRouter(
    _ configuration: RouterConfiguration, loops: Int = 1,
    _ body: @escaping @Sendable (RunningRouter) throws -> Void
) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
    let router = Router(configuration, group: group, logger: .silent)
    try await router.start()
    let ports = router.boundAddresses.compactMap { if case .tcp(_, let port) = $0 { port } else { nil } }
    guard let port = ports.first else {
        throw Socket.Failure(description: "no TCP address")
    }
    let result: Result<Void, any Error>
    do { result = .success(try await blocking { try body(RunningRouter(router: router, port: port)) }) } catch {
        result = .failure(error)
    }
    await router.drain(within: .milliseconds(100))
    try await group.shutdownGracefully()
    try result.get()
}

func withRouter(
    _ upstream: FakeUpstream, loops: Int = 1, _ body: @escaping @Sendable (RunningRouter) throws -> Void
) async throws {
    try await withRouter(configuration([upstream.address]), loops: loops, body)
}

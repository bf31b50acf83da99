import ChannelLayer
import JSON
import NIOCore
import Synchronization
import Testing

@testable import Gateway

/// What a gateway on real sockets tells an application.
@Suite(.timeLimit(.minutes(2)))
struct LifecycleLiveTests {
    /// Takes what it is told.
    private final class Application: Sendable {
        private let bodies = Mutex<[ByteBuffer]>([])

        var ask: AskWorker {
            { request, loop in
                #expect(request.head.target == "/events")
                #expect(request.head.fields[LifecycleSignature.field]?.hasPrefix("t=") == true)
                self.bodies.withLock { $0.append(request.body) }
                return loop.makeSucceededFuture(AskAnswer(status: 200, body: ByteBuffer()))
            }
        }

        /// `occupied news`: what it was told so far.
        var told: [String] {
            self.bodies.withLock { $0 }.flatMap { body in
                ((try? JSONValue(parsing: body))?["events"]?.array ?? []).map { event in
                    let words = ["event", "channel", "code"].compactMap { key in
                        event[key]?.string ?? event[key]?.integer.map { "\($0)" }
                    }
                    return words.joined(separator: " ")
                }
            }
        }

        func isTold(_ what: String) async throws {
            while !self.told.contains(what) { try await Task.sleep(for: .milliseconds(20)) }
        }
    }

    private static var configuration: LifecycleConfiguration {
        var lifecycle = LifecycleConfiguration()
        lifecycle.endpoint = .workers(path: "/events")
        lifecycle.secret = "a secret that is long enough"
        lifecycle.linger = 0
        return lifecycle
    }

    @Test func theApplicationIsToldWhoComesAndGoesAndOfTheEnd() async throws {
        let application = Application()
        try await withGateway({ $0.lifecycle = Self.configuration }, runsClock: true, ask: { _ in application.ask }) {
            gateway in
            let browser = try await gateway.upgrade("/channels/groups/news").browser
            try await application.isTold("occupied news")
            try await application.isTold("connected")
            #expect(application.told.sorted() == ["connected", "occupied news"])
            browser.close()
            try await application.isTold("vacated news")
            let other = try await gateway.upgrade("/channels/groups/more").browser
            try await application.isTold("occupied more")
            await gateway.server.drain(within: .zero)
            try await application.isTold("vacated more")
            other.close()
            // Each of the two came, and went; what was told in another request may come a moment later.
            while application.told.count < 8 { try await Task.sleep(for: .milliseconds(20)) }
            #expect(application.told.count == 8)
        }
    }
}

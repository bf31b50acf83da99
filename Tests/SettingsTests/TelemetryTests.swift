import Logging
import Metrics
import NIOCore
import NIOPosix
import Settings
import Testing

@testable import Telemetry

@Suite struct PrometheusTests {
    @Test func thePageHasHelpTypeAndEscapedLabels() {
        let registry = PrometheusRegistry()
        let drops = Metric("carillon_test_drops_total", help: "Drops; back\\slash.\nNext.")
        drops.counter([("reason", "a \"b\"\\\nc")], factory: registry).increment(by: 2)
        drops.counter([("reason", "a \"b\"\\\nc")], factory: registry).increment()
        Metric("carillon_test_connections", help: "Now.").gauge(factory: registry).increment(by: 1.5)
        #expect(
            registry.render() == #"""
                # HELP carillon_test_connections Now.
                # TYPE carillon_test_connections gauge
                carillon_test_connections 1.5
                # HELP carillon_test_drops_total Drops; back\\slash. Next.
                # TYPE carillon_test_drops_total counter
                carillon_test_drops_total{reason="a \"b\"\\\nc"} 3

                """#)
    }

    @Test func aTimerIsAHistogramInSeconds() {
        let registry = PrometheusRegistry()
        let timer = Metric("carillon_test_seconds", help: "Time.").timer([("part", "x")], factory: registry)
        timer.recordNanoseconds(2_000_000)
        timer.recordNanoseconds(120_000_000_000)
        let lines = registry.render().split(separator: "\n")
        #expect(lines.contains(#"carillon_test_seconds_bucket{part="x",le="0.001"} 0"#))
        #expect(lines.contains(#"carillon_test_seconds_bucket{part="x",le="0.0025"} 1"#))
        #expect(lines.contains(#"carillon_test_seconds_bucket{part="x",le="+Inf"} 2"#))
        #expect(lines.contains(#"carillon_test_seconds_count{part="x"} 2"#))
        #expect(lines.contains(#"carillon_test_seconds_sum{part="x"} 120.002"#))
    }

    @Test func countsFromManyThreadsAddUp() async {
        let registry = PrometheusRegistry()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let counter = Counter(label: "n_total", dimensions: [], factory: registry)
                    let gauge = Meter(label: "n", dimensions: [], factory: registry)
                    for _ in 0..<1_000 {
                        counter.increment()
                        gauge.increment()
                    }
                }
            }
        }
        #expect(registry.render().contains("\nn 8000\n"))
        #expect(registry.render().contains("\nn_total 8000\n"))
    }

    @Test func aNameOfTwoKindsLeavesThePageReadable() {
        let registry = PrometheusRegistry()
        Counter(label: "a", dimensions: [], factory: registry).increment()
        Meter(label: "a", dimensions: [], factory: registry).set(5)
        #expect(registry.render() == "# TYPE a counter\na 1\n")
    }
}

@Suite struct LogLineTests {
    private func line(_ format: LogFormat, _ message: String, _ metadata: [(String, String)]) -> String {
        let time = LogLine.time(seconds: 1_767_323_045, milliseconds: 78)
        return String(
            buffer: LogLine.line(
                time: time, level: .notice, label: "gateway", message: message, metadata: metadata, format: format))
    }

    @Test func textIsOneLineWhateverIsInIt() {
        #expect(
            self.line(
                .text, "Started", [("address", "http://127.0.0.1:1"), ("user", "a b\n\"c\" \u{1B}[31m"), ("x", "")])
                == "2026-01-02T03:04:05.078Z notice gateway: Started address=http://127.0.0.1:1 "
                + "user=\"a b\\n\\\"c\\\" \\u{1b}[31m\" x=\"\"\n")
    }

    @Test func jsonIsOneObjectPerLine() {
        #expect(
            self.line(.json, "Started", [("user", "a\n\"b\"")])
                == #"{"time":"2026-01-02T03:04:05.078Z","level":"notice","logger":"gateway","message":"Started","#
                + #""user":"a\n\"b\""}"# + "\n")
    }
}

@Suite struct InternalServerTests {
    /// Sends one request as it stands and reads until the server closes.
    private func ask(_ request: String, at address: SocketAddress) async throws -> String {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(to: address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var answer = ""
            for try await part in inbound { answer += String(buffer: part) }
            return answer
        }
    }

    @Test(.timeLimit(.minutes(1))) func healthTellsReadyFromAlive() async throws {
        let registry = PrometheusRegistry()
        Counter(label: "asked_total", dimensions: [], factory: registry).increment()
        let health = HealthState(parts: ["layer"])
        let server = InternalServer(
            registry: registry, health: health, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let listener = try await server.listen(
            on: .tcp(host: "127.0.0.1", port: 0), group: .singletonMultiThreadedEventLoopGroup)
        let address = try #require(listener.localAddress)
        let starting = try await self.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", at: address)
        #expect(starting.hasPrefix("HTTP/1.1 503 "))
        #expect(starting.hasSuffix(#"{"alive":true,"ready":false,"reasons":{"layer":"starting"}}"# + "\n"))
        #expect(
            try await self.ask("GET /healthz/alive HTTP/1.1\r\nHost: a\r\n\r\n", at: address).hasPrefix("HTTP/1.1 200 ")
        )
        health.ready("layer")
        let ready = try await self.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", at: address)
        #expect(ready.hasPrefix("HTTP/1.1 200 "))
        #expect(ready.hasSuffix(#"{"alive":true,"ready":true}"# + "\n"))
        let metrics = try await self.ask("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", at: address)
        #expect(metrics.hasSuffix("# TYPE asked_total counter\nasked_total 1\n"))
        #expect(try await self.ask("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", at: address).hasSuffix("\r\n\r\n"))
        #expect(try await self.ask("POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", at: address).hasPrefix("HTTP/1.1 405 "))
        #expect(try await self.ask("nonsense\r\n\r\n", at: address).hasPrefix("HTTP/1.1 400 "))
        #expect(try await self.ask("GET /else HTTP/1.1\r\nHost: a\r\n\r\n", at: address).hasPrefix("HTTP/1.1 404 "))
        try await listener.close()
    }
}

import Logging
import Metrics
import NIOCore
import NIOPosix
import ServiceLifecycle
import Settings
import Synchronization
import Telemetry
import UnixSignals

/// What every serving process has, and its life: start in order, serve until a signal, stop in reverse.
struct Runtime: Sendable {
    let group: MultiThreadedEventLoopGroup
    let registry = PrometheusRegistry()
    let health = HealthState(parts: ["process"])
    let logger: Logger
    /// Sockets the process may have open.
    let descriptors: Int
    private let telemetry: TelemetryConfiguration
    private let threshold: LogThreshold
    private let label: String

    /// Sets up logs and metrics for the whole process; once.
    ///
    /// - Parameter label: the subcommand, for log lines.
    init(label: String, telemetry: TelemetryConfiguration, process: ProcessConfiguration) {
        let threshold = LogThreshold(telemetry.logLevel)
        LoggingSystem.bootstrap { LineLogHandler(label: $0, format: telemetry.logFormat, threshold: threshold) }
        MetricsSystem.bootstrap(self.registry)
        self.threshold = threshold
        self.telemetry = telemetry
        self.label = label
        self.logger = Logger(label: label)
        self.descriptors = DescriptorLimit.raise()
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: process.eventLoops)
    }

    /// Starts `parts` in their order, serves until SIGTERM or SIGINT, and stops them in reverse. A second such signal ends
    /// the process at once. SIGHUP calls `reload`; SIGHUP and SIGUSR1 open the files of logs anew.
    ///
    /// - Parameters:
    ///   - reload: reads the settings anew; what it throws is logged, and everything stays as it was.
    ///   - started: called when all parts work.
    /// - Throws: what kept a part from starting; parts that had started are stopped then.
    func run(
        _ parts: [any Part], reload: @escaping @Sendable () throws -> TelemetryConfiguration,
        started: @Sendable () throws -> Void = {}
    ) async throws {
        // Caught from here on, so that a signal during the start is not lost either.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup, .sigusr1)
        let all: [any Part] =
            [InternalPart(self.telemetry.listen, self.registry, self.health, self.group, self.logger)] + parts
        try await self.start(all)
        self.health.ready("process")
        try started()
        var configuration = ServiceGroupConfiguration(
            services: all.map { .init(service: PartService(part: $0)) }, logger: Logger(label: "lifecycle"))
        configuration.logger.logLevel = .error
        let services = ServiceGroup(configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            tasks.addTask { await self.obey(signals, services, all, reload) }
            try await tasks.next()
            tasks.cancelAll()
        }
        self.logger.notice("Stopped")
    }

    private func start(_ parts: [any Part]) async throws {
        var running: [any Part] = []
        for part in parts {
            do {
                try await part.start()
            } catch {
                for part in running.reversed() { await part.stop() }
                throw Failure("\(part.name) cannot start: \(error)")
            }
            running.append(part)
        }
    }

    private func obey(
        _ signals: UnixSignalsSequence, _ services: ServiceGroup, _ parts: [any Part],
        _ reload: @Sendable () throws -> TelemetryConfiguration
    ) async {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup || signal == .sigusr1 {
                for part in parts { part.reopenLogs() }
                if signal == .sighup { self.reload(reload) }
            } else if isStopping {
                Output.error("carillon: stopped at once by a second signal")
                immediateExit(signal == .sigint ? 130 : 143)
            } else {
                isStopping = true
                self.health.unready("process", "draining")
                self.logger.notice("Draining; a second signal stops at once")
                await services.triggerGracefulShutdown()
            }
        }
    }

    private func reload(_ read: () throws -> TelemetryConfiguration) {
        do {
            let telemetry = try read()
            self.threshold.level = telemetry.logLevel
            self.logger.notice("Settings were read again", metadata: ["log.level": "\(telemetry.logLevel)"])
        } catch {
            self.logger.error(
                "Settings cannot be used; everything stays as it was", metadata: [LogKey.error: "\(error)"])
        }
    }
}

/// `/healthz` and `/metrics`, when they have an address.
private final class InternalPart: Part {
    let name = "telemetry"
    private let address: ListenAddress?
    private let server: InternalServer
    private let group: any EventLoopGroup
    private let listener = Mutex<(any Channel)?>(nil)

    init(
        _ address: ListenAddress?, _ registry: PrometheusRegistry, _ health: HealthState, _ group: any EventLoopGroup,
        _ logger: Logger
    ) {
        self.address = address
        self.server = InternalServer(registry: registry, health: health, logger: logger)
        self.group = group
    }

    func start() async throws {
        guard let address = self.address else { return }
        do {
            let channel = try await self.server.listen(on: address, group: self.group)
            self.listener.withLock { $0 = channel }
        } catch {
            throw Failure("\(address) (telemetry.listen): \(ListenProblem.text(of: error))")
        }
    }

    func stop() async { try? await self.listener.withLock { $0 }?.close() }
}

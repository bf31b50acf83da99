import Glibc
package import Logging
import NIOCore
import NIOPosix
import Synchronization
import Telemetry

/// Where the line of each request goes.
package struct AccessLogConfiguration: Sendable, Equatable {
    package enum Target: Sendable, Equatable {
        case standardError
        /// An absolute path; appended to, and made with mode 0640 when it is missing.
        case file(String)
    }

    package enum Format: String, Sendable, CaseIterable {
        /// The combined form that servers have had for long, and after it host, request identifier, seconds and upstream.
        case text
        /// One object a line.
        case json
    }

    package var target: Target
    package var format: Format

    package init(target: Target, format: Format = .text) {
        self.target = target
        self.format = format
    }
}

/// Writes lines on a thread of its own, so that no disk and no pipe ever stops a request. When they cannot be written, or
/// not as fast as they come, they are counted and forgotten.
package final class AccessLog: Sendable {
    /// Bytes that may wait for the disk.
    static let waitingLimit = 8 << 20

    package let configuration: AccessLogConfiguration
    private let metrics: RouterMetrics
    private let log: BoundedLog
    private let waiting = Atomic<Int>(0)
    private let pool = NIOThreadPool(numberOfThreads: 1)
    /// -1 when the file cannot be opened; used on the pool's thread, but for the first opening.
    private let descriptor = Mutex<CInt>(-1)

    /// - Throws: `ListenError` with the file's path when it cannot be opened.
    package init(_ configuration: AccessLogConfiguration, metrics: RouterMetrics, logger: Logger) throws {
        self.configuration = configuration
        self.metrics = metrics
        self.log = BoundedLog(logger, linesPerSecond: 1)
        let descriptor = Self.open(configuration.target)
        guard descriptor >= 0 else {
            throw AccessLogError(configuration.target, ListeningSocket.errorText(errno))
        }
        self.descriptor.withLock { $0 = descriptor }
        self.pool.start()
    }

    private static func open(_ target: AccessLogConfiguration.Target) -> CInt {
        switch target {
        case .standardError: 2
        case .file(let path): Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        }
    }

    /// Writes whole lines. Never waits.
    func write(_ lines: ByteBuffer, count: Int) {
        let bytes = lines.readableBytes
        guard self.waiting.load(ordering: .relaxed) + bytes <= Self.waitingLimit else {
            return self.lose(count, "the disk is too slow")
        }
        self.waiting.wrappingAdd(bytes, ordering: .relaxed)
        self.pool.submit { state in
            self.waiting.wrappingSubtract(bytes, ordering: .relaxed)
            guard state == .active else { return }
            self.put(lines, count: count)
        }
    }

    /// Opens the file anew, after somebody has moved it away. Lines that were written before go to the old one.
    package func reopen() {
        guard case .file = self.configuration.target else { return }
        self.pool.submit { state in
            guard state == .active else { return }
            let new = Self.open(self.configuration.target)
            guard new >= 0 else {
                let problem = ListeningSocket.errorText(errno)
                self.log.log(
                    .error, "The access log cannot be opened anew; the old file is written on",
                    metadata: [LogKey.error: "\(problem)"])
                return
            }
            let old = self.descriptor.withLock { descriptor in
                defer { descriptor = new }
                return descriptor
            }
            if old > 2 { close(old) }
        }
    }

    /// Completes when what was written before has gone to the file.
    package func end() async {
        await withCheckedContinuation { continuation in self.pool.submit { _ in continuation.resume() } }
        try? await self.pool.shutdownGracefully()
        let old = self.descriptor.withLock { descriptor in
            defer { descriptor = -1 }
            return descriptor
        }
        if old > 2 { close(old) }
    }

    private func put(_ lines: ByteBuffer, count: Int) {
        var lines = lines
        let descriptor = self.descriptor.withLock { $0 }
        while lines.readableBytes > 0 {
            let written = lines.withUnsafeReadableBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written > 0 {
                lines.moveReaderIndex(forwardBy: written)
            } else if errno != EINTR {
                return self.lose(count, ListeningSocket.errorText(errno))
            }
        }
    }

    private func lose(_ count: Int, _ why: String) {
        self.metrics.accessLogLost.increment(by: count)
        self.log.log(
            .error, "Lines of the access log are lost; requests are answered all the same",
            metadata: [LogKey.count: "\(count)", LogKey.error: "\(why)"])
    }
}

/// A log that cannot be opened: which, and why.
package struct AccessLogError: Error, CustomStringConvertible, Sendable {
    package let description: String

    init(_ target: AccessLogConfiguration.Target, _ problem: String) {
        let name = if case .file(let path) = target { path } else { "standard error" }
        self.description = "the access log \(name) cannot be opened: \(problem)"
    }
}

import Logging
import Synchronization
import Telemetry

/// The certificates in use. A new connection takes those of its moment; the others keep theirs.
final class TLSStore: Sendable {
    private let contexts: Mutex<TLSContexts>
    private let logger: Logger

    /// - Throws: what is wrong with the files.
    init(_ tls: RouterTLS, logger: Logger) throws(RouterFileError) {
        self.logger = logger
        let contexts = try TLSContexts(tls)
        self.contexts = Mutex(contexts)
        self.warn(contexts)
    }

    var current: TLSContexts { self.contexts.withLock { $0 } }

    /// Reads the files anew; when one cannot be used everything stays as it was.
    func reload(_ tls: RouterTLS) throws(RouterFileError) {
        let new = try TLSContexts(tls)
        self.contexts.withLock { $0 = new }
        self.warn(new)
    }

    private func warn(_ contexts: TLSContexts) {
        for warning in contexts.warnings {
            self.logger.warning("A certificate is out of date", metadata: [LogKey.reason: "\(warning)"])
        }
    }
}

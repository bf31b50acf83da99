import HTTP1
import Logging
import NIOCore

/// Asks each upstream of a group in turn whether it is well, over connections of its own. Used on its event loop only.
final class HealthChecker {
    private let check: HealthCheck
    private let eventLoop: any EventLoop
    private let lines: [Line]
    private var isStopped = false

    /// One upstream, and the pool of the only one that asks it.
    private final class Line {
        let server: UpstreamServer
        let pool: UpstreamPool
        var tally = HealthTally()

        init(server: UpstreamServer, pool: UpstreamPool) {
            (self.server, self.pool) = (server, pool)
        }
    }

    init?(_ servers: [UpstreamServer], configuration: UpstreamConfiguration, eventLoop: any EventLoop) {
        guard let check = configuration.healthCheck else { return nil }
        self.check = check
        self.eventLoop = eventLoop
        var own = configuration
        // A connection that stays open says nothing about whether a new one would be taken.
        own.maxConnections = 1
        own.keepAliveTime = .milliseconds(1)
        own.connectTime = min(configuration.connectTime, check.timeout)
        own.retries = 0
        self.lines = servers.map { server in
            // Apart from the one that requests go to: checks count neither as load nor as failures of requests.
            let asked = UpstreamServer(server.address, configuration: own, log: .silent)
            return Line(
                server: server,
                pool: UpstreamPool(eventLoop: eventLoop, servers: [asked], shares: 1, configuration: own))
        }
    }

    func start() {
        for line in self.lines { self.ask(line) }
    }

    func stop() {
        self.isStopped = true
        for line in self.lines { line.pool.shutDown() }
    }

    private func ask(_ line: Line) {
        guard !self.isStopped else { return }
        var fields = HeaderFields()
        if !self.check.host.isEmpty { fields.append("Host", self.check.host) }
        fields.append("User-Agent", "carillon-health-check")
        let promise = self.eventLoop.makePromise(of: UpstreamAnswer.self)
        promise.futureResult.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let answer):
                self.answered(line, (200..<400).contains(answer.status), "status \(answer.status)")
            case .failure(let error): self.answered(line, false, "\(error)")
            }
        }
        UpstreamQuestion(
            UpstreamRequest(method: "GET", target: self.check.path, fields: fields), pool: line.pool,
            timeout: self.check.timeout, limit: 1 << 20, promise: promise
        ).ask()
    }

    private func answered(_ line: Line, _ isGood: Bool, _ what: String) {
        guard !self.isStopped else { return }
        if line.tally.add(isGood: isGood, self.check) { line.server.checked(isWell: isGood, what) }
        self.eventLoop.assumeIsolated().scheduleTask(in: self.check.interval) { self.ask(line) }
    }
}

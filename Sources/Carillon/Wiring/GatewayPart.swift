import Gateway
import Logging
import NIOCore
import Settings
import Telemetry
import Upstream

/// What a gateway process has besides the gateway: where it listens, and how it asks the workers.
enum GatewayProcessSettings {
    static let listen = Setting(
        "gateway.listen", default: [ListenAddress.tcp(host: "127.0.0.1", port: 8_001)],
        kind: SettingKind<ListenAddress>.listenAddress.list(atMost: 64),
        help: """
            Where the gateway listens. At unix:///PATH it also takes browsers' sockets from routers on this host, through \
            PATH.handoff. fd://NUMBER is a listening socket that was inherited.
            """, example: "unix:///run/carillon/gateway-0.sock")

    static let socketMode = Setting(
        "gateway.socket_mode", default: "0660",
        help: """
            Permission bits of the Unix sockets' files. Whoever may write to them is believed about a visitor's address.
            """, bounds: "an octal number such as \"0660\"", accepts: { Self.mode($0) != nil })

    static let askTimeout = Setting(
        "gateway.ask_timeout", default: .seconds(10), in: .milliseconds(10)...(.seconds(600)),
        help: """
            How long a worker may take to say who a browser is, or to answer a browser's message. The workers asked are \
            those of router.workers.upstreams.
            """)

    static let askLimit = Setting(
        "gateway.ask_limit", default: 65_536, in: 1_024...16_777_216, unit: "bytes",
        help: "Size of such an answer. A longer one counts as none.")

    static let takeover = Setting(
        "gateway.takeover", default: nil,
        help: """
            The path of a Unix socket at which a gateway passes its browsers on to the one that comes after it, so that a \
            restart disconnects nobody; each gateway of a host needs its own. null sends browsers away with 1012 at a \
            restart. It needs a layer with a broker.
            """, example: "/run/carillon/gateway-0.takeover")

    static let takeoverWait = Setting(
        "gateway.takeover_wait", default: .seconds(10), in: .zero...(.seconds(600)),
        help: """
            How long after the end of a stopped gateway its browsers are served on by a bridge, a process that waits for the \
            next gateway. Then they are sent away. 0s starts no bridge.
            """)

    static let all: [any AnySetting] = [listen, socketMode, askTimeout, askLimit, takeover, takeoverWait]

    static func mode(_ text: String) -> UInt32? { UInt32(text, radix: 8).flatMap { $0 <= 0o777 ? $0 : nil } }
}

/// The same as values.
struct GatewayProcessConfiguration {
    var listen: [ListenAddress]
    var socketMode: UInt32
    let askTimeout: TimeAmount
    let askLimit: Int
    let takeover: String?
    let takeoverWait: Duration

    init(reading reader: SettingsReader) {
        self.socketMode = GatewayProcessSettings.mode(reader.value(GatewayProcessSettings.socketMode)) ?? 0o600
        self.listen = reader.value(GatewayProcessSettings.listen)
        self.askTimeout = TimeAmount(reader.value(GatewayProcessSettings.askTimeout))
        self.askLimit = reader.value(GatewayProcessSettings.askLimit)
        self.takeover = reader.value(GatewayProcessSettings.takeover)
        self.takeoverWait = reader.value(GatewayProcessSettings.takeoverWait)
    }

    /// How the gateway asks the workers behind `client`.
    func ask(_ client: UpstreamClient) -> AskWorker {
        client.asking(timeout: self.askTimeout, limit: self.askLimit)
    }
}

/// A gateway in the process.
struct GatewayPart: Part {
    let name = "gateway"
    let server: GatewayServer
    let process: GatewayProcessConfiguration
    let drainTime: Duration
    /// `gateway.connection_limit`.
    let connectionLimit: Int
    /// Sockets the process may have open.
    let descriptors: Int
    let layer: String
    let logger: Logger
    /// `nil` when browsers are sent away at the end.
    var takeover: GatewayTakeover?

    func start() async throws {
        try await self.takeover?.take(self.server)
        do {
            try await self.listen()
            try self.takeover?.offer(self.server)
        } catch {
            // Those who came are told to come back.
            await self.server.drain(within: .zero)
            throw error
        }
    }

    private func listen() async throws {
        var addresses: [String] = []
        for address in self.process.listen {
            do {
                addresses.append("\(try await self.server.listen(on: address, socketMode: self.process.socketMode))")
            } catch {
                throw Failure("\(address): \(ListenProblem.text(of: error))")
            }
        }
        self.logger.notice(
            "Gateway started",
            metadata: [LogKey.address: "\(addresses.joined(separator: " "))", LogKey.layer: "\(self.layer)"])
        if self.connectionLimit > self.descriptors {
            self.logger.info(
                "Fewer browsers can connect than gateway.connection_limit says: raise the limit of open files (ulimit -n)",
                metadata: ["limit": "\(self.connectionLimit)", "descriptors": "\(self.descriptors)"])
        }
    }

    func stop() async {
        await self.takeover?.passOn()
        await self.server.drain(within: self.drainTime)
    }
}

import Gateway
import Glibc
import Settings
import Workers

/// The gateway of this process as `/api/info` tells of it.
///
/// Only `serve` has one beside its worker. A worker in a process of its own knows no gateways and tells of none; what a
/// gateway holds is on its own `/metrics`.
struct GatewayNode: Sendable {
    private let uid: String
    private let name: String
    private let started = ContinuousClock.now
    private let gateway: GatewayContext

    /// - Parameter listen: where the site listens, for the name.
    init(_ gateway: GatewayContext, listen: [ListenAddress]) {
        self.gateway = gateway
        self.uid = String(UInt64.random(in: .min ... .max), radix: 16)
        let ports = listen.compactMap { if case .tcp(_, let port) = $0 { "_\(port)" } else { nil } }
        self.name = Self.hostName + (ports.first ?? "")
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "carillon" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// As it is now. From any thread.
    var info: NodeInfo {
        let census = self.gateway.census
        return NodeInfo(
            uid: self.uid, name: self.name, version: Version.text, clients: census.connections, users: census.users,
            channels: census.groups, subscriptions: census.subscriptions,
            uptime: Int((ContinuousClock.now - self.started).components.seconds))
    }
}

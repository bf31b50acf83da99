import Glibc
import Settings

/// What people call a gateway: its host and port.
enum NodeName {
    static func text(listening addresses: [ListenAddress]) -> String {
        let ports = addresses.compactMap { if case .tcp(_, let port) = $0 { "_\(port)" } else { nil } }
        return Self.hostName + (ports.first ?? "")
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "carillon" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

import ArgumentParser
import Settings

/// Where to listen, with the flags of Daphne.
struct ListenOptions: ParsableArguments {
    @Option(
        name: [.customShort("b"), .customLong("bind")],
        help: ArgumentHelp("The host or address to listen on.", valueName: "host"))
    var bind: String?

    @Option(
        name: [.customShort("p"), .customLong("port")],
        help: ArgumentHelp("The TCP port; 0 takes a free one.", valueName: "n"))
    var port: Int?

    @Option(
        name: [.customShort("u"), .customLong("unix-socket")],
        help: ArgumentHelp("Listens on a Unix socket at this path.", valueName: "path"))
    var unixSocket: String?

    @Option(
        name: .customLong("fd"),
        help: ArgumentHelp(
            "Listens on an inherited socket: 0 under supervisord's fcgi-program, 3 under systemd.", valueName: "n"))
    var descriptor: Int?

    /// The flags as the value of a setting; empty when none was given.
    ///
    /// - Parameters:
    ///   - setting: a setting that takes addresses to listen on.
    ///   - port: the port for `--bind` alone.
    func flags(for setting: String, port standard: Int) -> [SettingsReader.Flag] {
        var addresses: [String] = []
        var flags: [String] = []
        if self.bind != nil || self.port != nil {
            let host = self.bind ?? "127.0.0.1"
            let authority = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
            addresses.append("http://\(authority):\(self.port ?? standard)")
            flags.append(self.port == nil ? "--bind" : "--port")
        }
        if let path = self.unixSocket {
            addresses.append("unix://\(path.hasPrefix("/") ? path : "\(Process.directory)/\(path)")")
            flags.append("--unix-socket")
        }
        if let number = self.descriptor {
            addresses.append("fd://\(number)")
            flags.append("--fd")
        }
        guard !addresses.isEmpty else { return [] }
        return [
            SettingsReader.Flag(
                setting: setting, flag: flags.joined(separator: " "), text: addresses.joined(separator: ","))
        ]
    }
}

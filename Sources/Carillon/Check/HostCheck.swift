import Glibc
import Upstream

/// What this host would not let Carillon do, seen as the user who asks.
struct HostCheck {
    /// `gateway.connection_limit`.
    let connectionLimit: Int
    /// Where router and gateway look for each other and for workers.
    let upstreams: [(setting: String, address: UpstreamAddress)]

    /// Sockets in the way, or closed to this user.
    func findings() -> [Finding] {
        self.upstreams.compactMap { setting, address in
            guard case .unix(let path) = address else { return nil }
            return Self.socket(path, setting)
        }
    }

    /// What may be no fault: the service can have other limits than who checks.
    func notes() -> [Finding] {
        let descriptors = DescriptorLimit.raise()
        guard descriptors < self.connectionLimit else { return [] }
        return [
            Finding(
                "gateway.connection_limit", nil,
                "a process started here may open \(descriptors) files, so it cannot hold \(self.connectionLimit) "
                    + "connections; raise the limit (ulimit -n; supervisord: minfds; systemd: LimitNOFILE)")
        ]
    }

    /// A socket that is there and may not be used. One that is not there yet is no fault: nothing may run now.
    private static func socket(_ path: String, _ setting: String) -> Finding? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            guard errno == EACCES else { return nil }
            return Finding(setting, nil, "\(path) cannot be reached: a folder on the way is closed to this user")
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            return Finding(setting, nil, "\(path) is there, but is no socket: remove it")
        }
        guard access(path, W_OK) != 0 else { return nil }
        let mode = String(status.st_mode & 0o777, radix: 8)
        return Finding(
            setting, nil,
            "\(path) belongs to user \(status.st_uid), group \(status.st_gid) with mode 0\(mode), and may not be used by "
                + "user \(geteuid()): see gateway.socket_mode, workers.socket_mode or supervisord's socket_owner")
    }
}

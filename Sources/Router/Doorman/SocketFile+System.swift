import Glibc

extension SocketFile {
    /// Gives the file at `path` its owner, group and mode.
    ///
    /// - Returns: what went wrong; `nil` when nothing did.
    func apply(to path: String) -> String? {
        var (user, group) = (uid_t.max, gid_t.max)
        if let owner = self.owner {
            guard let number = uid_t(owner) ?? Self.user(owner) else { return "there is no user \(owner)" }
            user = number
        }
        if let name = self.group {
            guard let number = gid_t(name) ?? Self.group(name) else { return "there is no group \(name)" }
            group = number
        }
        // The largest number leaves what it stands for as it is.
        if user != .max || group != .max, chown(path, user, group) != 0 {
            return "it cannot be given to \(self.owner ?? ""):\(self.group ?? "") (\(ListeningSocket.errorText(errno)))"
        }
        if let mode = self.mode, chmod(path, mode) != 0 {
            return "its mode cannot be set (\(ListeningSocket.errorText(errno)))"
        }
        return nil
    }

    private static func user(_ name: String) -> uid_t? {
        var (entry, found) = (passwd(), UnsafeMutablePointer<passwd>?.none)
        return Self.ask { getpwnam_r(name, &entry, $0, $1, &found) == 0 && found != nil } ? entry.pw_uid : nil
    }

    private static func group(_ name: String) -> gid_t? {
        var (entry, found) = (Glibc.group(), UnsafeMutablePointer<Glibc.group>?.none)
        return Self.ask { getgrnam_r(name, &entry, $0, $1, &found) == 0 && found != nil } ? entry.gr_gid : nil
    }

    private static func ask(_ body: (UnsafeMutablePointer<CChar>, Int) -> Bool) -> Bool {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 65_536) { space in
            space.baseAddress.map { body($0, space.count) } ?? false
        }
    }
}

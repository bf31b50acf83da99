import Glibc

/// How many sockets a process may have open.
enum DescriptorLimit {
    /// Raises the limit as far as the process may: the usual soft limit of 1024 is there for programs that use `select`.
    ///
    /// - Returns: descriptors the process may have open from now on.
    static func raise() -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 1_024 }
        var raised = limit
        raised.rlim_cur = limit.rlim_max
        if setrlimit(resource, &raised) == 0 { limit = raised }
        return Int(clamping: limit.rlim_cur)
    }
}

import CDescriptors
import NIOCore

/// How many processor cores this process may run on.
enum UsableCores {
    /// The cores that the affinity mask leaves (taskset, systemd's `CPUAffinity`, a container's cpuset), or the control
    /// group's quota where that is less; at least 1.
    ///
    /// NIO's `System.coreCount` knows quotas, but not the mask: with a loop for each core of the machine, a gateway that was
    /// given one core would share it between threads that wake each other for every message (a fifth more CPU per delivery
    /// in the benchmark of 1 000 groups).
    static var count: Int {
        let allowed = Int(cdescriptors_usable_cores())
        return allowed > 0 ? min(System.coreCount, allowed) : System.coreCount
    }
}

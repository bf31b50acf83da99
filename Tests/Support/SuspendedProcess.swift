import Foundation

/// Stops processes where they are (`SIGSTOP`), and returns when not one of their threads runs any more.
///
/// The signal alone is a beginning: `kill` comes back when one thread has been told, and until that one has its turn on a
/// busy machine the others go on, and answer what the test believes to be unanswered.
///
/// - Parameter target: a process, or the negative number of a group of them, as `kill(2)` has it.
/// - Throws: a `POSIXError`: there is no such process, or it still runs after ten seconds.
func suspend(_ target: pid_t) throws {
    guard kill(target, SIGSTOP) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .ESRCH) }
    let end = ContinuousClock.now + .seconds(10)
    while runs(target) {
        guard ContinuousClock.now < end else { throw POSIXError(.ETIMEDOUT) }
        usleep(500)
    }
}

/// Whether any thread of the process, or of a group's processes, is neither stopped nor dead.
private func runs(_ target: pid_t) -> Bool {
    let processes = target > 0 ? [target] : processes(inGroup: -target)
    return processes.contains { process in
        names("/proc/\(process)/task").contains { thread in
            status("/proc/\(process)/task/\(thread)/stat").map { !"TtZX".contains($0.state) } ?? false
        }
    }
}

private func processes(inGroup group: pid_t) -> [pid_t] {
    names("/proc").compactMap { pid_t($0) }.filter { status("/proc/\($0)/stat")?.group == group }
}

private func names(_ folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
}

/// What is said of a thread (proc_pid_stat(5)); `nil` when it is gone. Its name may have spaces and parentheses in it.
private func status(_ path: String) -> (state: Character, group: pid_t?)? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8), let end = text.lastIndex(of: ")") else {
        return nil
    }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 2, let state = fields[0].first else { return nil }
    return (state, pid_t(fields[2]))
}

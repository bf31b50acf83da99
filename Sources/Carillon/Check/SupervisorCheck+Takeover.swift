import Settings

extension SupervisorCheck {
    /// How long a stopping gateway waits for its bridge at most; `GatewayTakeover` gives it up then.
    private static let bridgeTime = Duration.seconds(25)

    /// A gateway that passes its browsers on needs a path of its own, and the time for it.
    func takeoverFindings(_ program: Section) -> [Finding] {
        let command = program["command"]?.value ?? ""
        let words = command.split(separator: " ")
        guard words.contains("gateway") else { return [] }
        let prefix = "gateway.takeover="
        let own = words.last { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        guard let path = own ?? self.takeover, path != "null" else { return [] }
        var findings: [Finding] = []
        let count = program["numprocs"].flatMap { Int($0.value) } ?? 1
        if count > 1, !path.contains("%(process_num)") {
            findings.append(
                Finding(
                    self.path, program["command"]?.line ?? program.line,
                    "the \(count) gateways would take each other's browsers at \(path): gateway.takeover must be another "
                        + "for each, with %(process_num)d in it"))
        }
        let stopWait = program["stopwaitsecs"]
        let seconds = Duration.seconds(stopWait.flatMap { Int64($0.value) } ?? 10)
        // Less than the drain time has been told.
        let wanted = self.gatewayDrainTime + Self.bridgeTime
        if seconds >= self.drainTime, seconds < wanted {
            findings.append(
                Finding(
                    self.path, stopWait?.line ?? program.line,
                    "stopwaitsecs may end [\(program.name)] before it has passed its browsers on; wanted at least "
                        + DurationText.text(wanted)))
        }
        return findings
    }
}

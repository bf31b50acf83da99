import Settings

/// What a process is made of, whatever it does.
enum ProcessSettings {
    static let eventLoops = Setting(
        "process.event_loops", default: 0, in: 0...256, unit: "threads",
        help: "Threads that hold sockets; 0 means one for each processor core that the process may use.")

    static let all: [any AnySetting] = [eventLoops]
}

/// The same as values.
struct ProcessConfiguration {
    var eventLoops: Int

    init(reading reader: SettingsReader) {
        let count = reader.value(ProcessSettings.eventLoops)
        self.eventLoops = count == 0 ? UsableCores.count : count
    }
}

import ChannelLayer
import Sockets
import Logging
import NIOCore
import Settings
import Telemetry
import Workers

/// What a worker answers besides the publish API.
enum PagesSettings {
    static let demo = Setting(
        "workers.demo", default: false,
        help:
            "Serves the demonstration at /: a page that starts jobs and shows them live. serve without routes has it on."
    )

    static let files = Setting(
        "workers.files", default: nil,
        help: "A folder whose files are served under workers.files_path; null serves none.",
        example: "/srv/site/static")

    static let filesPath = Setting(
        "workers.files_path", default: "/static/", help: "The path under which the files are served.",
        bounds: "a path that begins and ends with /", accepts: { $0.hasPrefix("/") && $0.hasSuffix("/") })

    static let drainTime = Setting(
        "workers.drain_time", default: .seconds(20), in: .zero...(.seconds(3_600)),
        help: "How long a stopping worker lets requests finish that it has begun to answer.")

    static let all: [any AnySetting] = [demo, files, filesPath, drainTime]
}

/// The pages and the publish API of a worker.
struct WorkerSite {
    var api: PublishAPI.Configuration
    var hasDemo: Bool
    var files: String?
    var filesPath: String
    var drainTime: TimeAmount
    /// What the API may do with each channel.
    var rules: ChannelRules.LookUp

    init(reading reader: SettingsReader) {
        self.api = PublishAPI.Configuration(reading: reader)
        self.hasDemo = reader.value(PagesSettings.demo)
        self.files = reader.value(PagesSettings.files)
        self.filesPath = reader.value(PagesSettings.filesPath)
        self.drainTime = TimeAmount(reader.value(PagesSettings.drainTime))
        self.rules = ChannelRules.none
    }

    func application(layer: any ChannelLayer) throws(LayerError) -> any SynchronousApplication {
        var routes: [(String, any SynchronousApplication)] = [
            (
                self.api.prefix,
                PublishAPI(layer: layer, configuration: self.api, rules: self.rules, logger: Logger(label: "api"))
            )
        ]
        if let folder = self.files {
            routes.append((self.filesPath, StaticFiles(folder: folder, under: self.filesPath)))
        }
        if self.hasDemo { routes.append(("/", try DemoApplication(layer: layer))) }
        return Routes(routes)
    }
}

/// A worker in the process.
struct WorkerPart: Part {
    let name = "worker"
    let server: WorkerServer
    let drainTime: TimeAmount
    /// Whether the process ends with `workers.max_requests`: not where a gateway would end with it.
    var endsWornOut = false

    func start() async throws {
        try await self.server.start()
        guard self.endsWornOut else { return }
        // A task of its own, because it lasts as long as the process.
        Task { await self.server.endProcessWhenWornOut() }
    }
    func stop() async { await self.server.drain(within: self.drainTime) }
}

/// The layer in the process: closed when nobody uses it any more.
struct LayerPart: Part {
    let name = "layer"
    let layer: any ChannelLayer

    func start() async throws {}
    func stop() async { await self.layer.close() }
}

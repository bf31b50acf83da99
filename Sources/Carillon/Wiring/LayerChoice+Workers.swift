import Gateway
import RedisLayer
import Settings

extension LayerChoice {
    /// Says which routes hand what browsers do to a `runworker` although this layer cannot carry that.
    ///
    /// - Parameter routes: those that were read from `reader`.
    func check(_ routes: [RouteConfiguration], _ reader: SettingsReader) {
        let handing = Set(
            routes.compactMap { route in if case .layer = route.receive { route.path.text } else { nil } })
        guard let problem = self.problemWithWorkers, !handing.isEmpty else { return }
        for route in reader.node(RouteConfiguration.setting)?.elements() ?? []
        where route.child("path")?.value.string.map(handing.contains) ?? false {
            route.child("receive")?.child("layer")?.fault(problem)
        }
    }

    /// Why no `runworker` can be reached; `nil` when one can.
    private var problemWithWorkers: String? {
        switch self {
        case .redis(let configuration) where configuration.serializer == .messagePack: nil
        case .redis:
            """
            needs "msgpack" as serializer_format of channel_layers.default.config: JSON cannot say the bytes of a browser's \
            headers and messages
            """
        case .memory, .rabbitMQ, .redisPubSub:
            """
            needs the backend "redis" in channel_layers.default: "\(self.name)" has no channels from which workers take \
            each message once
            """
        }
    }
}

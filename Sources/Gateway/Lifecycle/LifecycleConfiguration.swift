import Logging
import NIOCore
package import Upstream

/// Where the application is told about its browsers, and how.
package struct LifecycleConfiguration: Sendable {
    package enum Endpoint: Sendable, Equatable {
        /// A path at the workers that the router knows.
        case workers(path: String)
        case server(UpstreamAddress, target: String)
    }

    package var endpoint = Endpoint.workers(path: "/")
    /// The key of signatures.
    package var secret = ""
    package var events = LifecycleEvent.Kind.allCases
    /// Seconds before a user counts as offline and a channel as vacated.
    package var linger = 5
    /// Events of one request.
    package var batch = 100
    /// Seconds until the answer.
    package var timeout = 5
    /// Events that may wait for the application.
    package var backlog = 10_000
    /// Comings and goings that may wait for the layer at one gateway.
    package var gatewayBacklog = 10_000
    /// Seconds after which a silent gateway counts as gone.
    package var patience = 10

    package init() {}

    var rules: LifecycleBook.Rules {
        var rules = LifecycleBook.Rules()
        rules.kinds = Set(self.events)
        rules.linger = Int64(self.linger) * 1_000
        rules.backlog = self.backlog
        return rules
    }

    /// How the application is told; `nil` where it is a worker and there are none.
    func asking(_ workers: UpstreamClient?, group: any EventLoopGroup, logger: Logger) -> AskWorker? {
        var client = workers
        if case .server(let address, _) = self.endpoint {
            client = UpstreamClient(UpstreamConfiguration(addresses: [address]), group: group, logger: logger)
        }
        return client?.asking(timeout: .seconds(Int64(self.timeout)), limit: 65_536)
    }

    /// Whether anybody wants to know of channels.
    var wantsChannels: Bool { self.events.contains(.occupied) || self.events.contains(.vacated) }
}

public import ChannelLayer
import HTTP1
import JSON
public import Logging
public import NIOCore
import Telemetry

/// Publishing over HTTP: `POST /api/publish`, `/api/broadcast`, `/api/info`.
///
/// Bodies, keys, answers and errors are those of the Centrifugo server API, so that `cent`, `gocent` and `phpcent` work
/// unmodified. What that API calls a channel is a group in the layer (`ClientChannel`).
///
/// ```
/// curl :8000/api/publish -H 'X-API-Key: k' -d '{"channel":"jobs","data":{"done":true}}'
/// {"result":{}}
/// ```
public struct PublishAPI: SynchronousApplication {
    /// Who may publish, and how.
    public struct Configuration: Sendable {
        /// What the methods' paths begin with.
        public var prefix = PublishSettings.prefix.defaultValue
        /// The keys; without any, nobody is let in.
        public var keys: [String] = []
        /// Lets in everybody, key or not. Only where nobody else can reach the worker.
        public var insecure = PublishSettings.insecure.defaultValue
        /// Tells errors by the status instead of in a 200 answer; a client may ask for it with a field of its own.
        public var transportErrors = false
        /// How long the layer may take to accept a publication; then the answer is error 100.
        public var layerTimeout: TimeAmount = .init(PublishSettings.layerTimeout.defaultValue)

        public init() {}
    }

    private let layer: any ChannelLayer
    private let configuration: Configuration
    private let keys: APIKeys
    private let logger: Logger
    private let metrics: PublishMetrics
    private let nodes: @Sendable () -> [NodeInfo]

    /// - Parameter nodes: asked for each `/api/info`, on a pool thread.
    public init(
        layer: any ChannelLayer, configuration: Configuration, logger: Logger = Logger(label: "carillon.api"),
        nodes: @escaping @Sendable () -> [NodeInfo]
    ) {
        self.layer = layer
        self.configuration = configuration
        self.keys = APIKeys(configuration.keys)
        self.logger = logger
        self.metrics = PublishMetrics()
        self.nodes = nodes
    }

    public func respond(to request: WorkerRequest) -> WorkerResponse {
        guard request.path.hasPrefix(self.configuration.prefix) else { return WorkerResponse(status: 404) }
        guard self.configuration.insecure || self.keys.admit(request) else {
            self.metrics.denied.increment()
            return WorkerResponse(status: 401)
        }
        guard request.method == "POST" else {
            return WorkerResponse(status: 405, fields: HeaderFields([("Allow", "POST")]))
        }
        guard let method = Method(rawValue: String(request.path.dropFirst(self.configuration.prefix.count))) else {
            return .text("404 page not found\n", status: 404)
        }
        do {
            let fields = try APIBody(request.body)
            let result = try self.perform(method, fields)
            return .json(#"{"result":\#(result)}"#)
        } catch let error as APIError {
            self.metrics.errors.increment()
            return self.answer(error, to: request)
        } catch {
            self.metrics.errors.increment()
            return .text("The body cannot be used: \(error)\n", status: 400)
        }
    }

    /// The methods that client libraries know.
    private enum Method: String {
        case publish, broadcast, info
        case subscribe, unsubscribe, disconnect, refresh, presence, history, channels, batch, rpc
        case presenceStats = "presence_stats"
        case historyRemove = "history_remove"
    }

    /// - Returns: the result as JSON text.
    private func perform(_ method: Method, _ body: APIBody) throws(APIError) -> String {
        switch method {
        case .publish:
            try self.publish(body)
            return "{}"
        case .broadcast:
            return try self.broadcast(body)
        case .info:
            return self.info()
        case .subscribe, .unsubscribe, .disconnect, .refresh, .presence, .presenceStats, .history, .historyRemove,
            .channels, .batch, .rpc:
            throw .methodNotFound
        }
    }

    private func answer(_ error: APIError, to request: WorkerRequest) -> WorkerResponse {
        let isTransport =
            self.configuration.transportErrors
            || request.fields["X-Centrifugo-Error-Mode"]?.lowercased() == "transport"
        return isTransport
            ? .json(error.json, status: error.status) : .json(#"{"error":\#(error.json)}"#)
    }

    // MARK: methods

    private func publish(_ body: APIBody) throws(APIError) {
        let (channel, data) = (body.channel, try body.publicationData())
        guard let group = try? ClientChannel(channel).group else { throw .badRequest }
        if let error = self.send(.publication(data), to: [group])[0] { throw error }
    }

    private func broadcast(_ body: APIBody) throws(APIError) -> String {
        guard !body.channels.isEmpty else { throw .badRequest }
        let message = LayerMessage.publication(try body.publicationData())
        let outcomes = self.send(message, to: body.channels.map { try? ClientChannel($0).group })
        let responses = outcomes.map { $0.map { #"{"error":\#($0.json)}"# } ?? #"{"result":{}}"# }
        return #"{"responses":[\#(responses.joined(separator: ","))]}"#
    }

    /// Hands the message over for all groups at once, then waits until each outcome is known or the time has passed.
    ///
    /// - Parameter groups: `nil` where the name was none.
    /// - Returns: the error of each, in their order; `nil` where it went well.
    private func send(_ message: LayerMessage, to groups: [GroupName?]) -> [APIError?] {
        let outcomes = Monitor(SendOutcomes(count: groups.count))
        for (index, group) in groups.enumerated() {
            guard let group else {
                outcomes.signal { $0.tell(index, .badRequest) }
                continue
            }
            self.layer.submit(message, toGroup: group) { error in
                outcomes.signal { $0.tell(index, error.map { self.explain($0, group) }) }
            }
        }
        let isDone: Void? = outcomes.wait(until: .now() + self.configuration.layerTimeout) { $0.isDone ? () : nil }
        if isDone == nil {
            self.logger.error(
                "The layer did not take a publication in time",
                metadata: [LogKey.group: "\(groups.first.flatMap(\.self)?.text ?? "")"])
        }
        let errors = outcomes.withLock { $0.errors }
        self.metrics.publications.increment(by: errors.count { $0 == nil })
        return errors
    }

    private func explain(_ error: LayerError, _ group: GroupName) -> APIError {
        if error.code == .invalidMessage || error.code == .invalidName { return .badRequest }
        self.logger.error(
            "A publication was not taken by the layer",
            metadata: [LogKey.group: "\(group.text)", LogKey.error: "\(error)"])
        return .internal
    }

    private func info() -> String {
        let nodes = self.nodes().map { node in
            #"{"uid":\#(quoted(node.uid)),"name":\#(quoted(node.name)),"#
                + #""version":\#(quoted(node.version)),"num_clients":\#(node.clients),"#
                + #""num_users":\#(node.users),"num_channels":\#(node.channels),"num_subs":\#(node.subscriptions),"#
                + #""uptime":\#(node.uptime)}"#
        }
        return #"{"nodes":[\#(nodes.joined(separator: ","))]}"#
    }
}

/// What became of a message in each of several groups.
private struct SendOutcomes: Sendable {
    /// Until something is heard, as if the layer had failed: that is what counts when the time has passed.
    private(set) var errors: [APIError?]
    private var missing: Int

    init(count: Int) {
        self.errors = Array(repeating: .internal, count: count)
        self.missing = count
    }

    var isDone: Bool { self.missing == 0 }

    mutating func tell(_ index: Int, _ error: APIError?) {
        self.errors[index] = error
        self.missing -= 1
    }
}

/// A string as JSON has it, quotation marks included.
private func quoted(_ text: String) -> String {
    var buffer = ByteBuffer()
    buffer.writeJSONString(text)
    return String(buffer: buffer)
}

public import ChannelLayer
import HTTP1
import JSON
public import Logging
public import NIOCore
import Telemetry

/// The server API over HTTP: `POST /api/publish`, `/api/broadcast`, `/api/history`, `/api/disconnect` and the others.
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
        /// How long is waited for gateways that do not answer a question; then the answer is without them.
        public var surveyTimeout: TimeAmount = .init(PublishSettings.surveyTimeout.defaultValue)

        public init() {}
    }

    private let configuration: Configuration
    private let keys: APIKeys
    private let metrics: PublishMetrics
    private let methods: ServerAPI

    /// Without namespaces: every channel is there, and nothing is kept of it.
    public init(
        layer: any ChannelLayer, configuration: Configuration, logger: Logger = Logger(label: "carillon.api")
    ) {
        self.init(layer: layer, configuration: configuration, rules: ChannelRules.none, logger: logger)
    }

    /// - Parameter rules: what counts for each channel.
    package init(
        layer: any ChannelLayer, configuration: Configuration, rules: @escaping ChannelRules.LookUp,
        logger: Logger = Logger(label: "carillon.api")
    ) {
        self.configuration = configuration
        self.keys = APIKeys(configuration.keys)
        self.metrics = PublishMetrics()
        self.methods = ServerAPI(
            layer: layer, cluster: Cluster(layer: layer, logger: logger), rules: rules, logger: logger,
            metrics: self.metrics, layerTimeout: configuration.layerTimeout,
            surveyTimeout: configuration.surveyTimeout)
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
        guard let method = APIMethod(rawValue: String(request.path.dropFirst(self.configuration.prefix.count))) else {
            return .text("404 page not found\n", status: 404)
        }
        do throws(JSONError) {
            switch try APIRequest(method, request.body) {
            case .batch(let commands, let isParallel): return self.respond(to: commands, isParallel: isParallel)
            case let one: return self.answer(self.methods.begin(one)(), to: request)
            }
        } catch {
            self.metrics.errors.increment()
            return .text("The body cannot be used: \(error)\n", status: 400)
        }
    }

    private func answer(_ outcome: Result<ByteBuffer, APIError>, to request: WorkerRequest) -> WorkerResponse {
        switch outcome {
        case .success(let result): return .json(#"{"result":"#, result, "}")
        case .failure(let error):
            self.metrics.errors.increment()
            let isTransport =
                self.configuration.transportErrors
                || request.fields["X-Centrifugo-Error-Mode"]?.lowercased() == "transport"
            return isTransport
                ? .json(error.json, status: error.status) : .json(#"{"error":\#(error.json)}"#)
        }
    }

    /// One after the other, or all under way at once; the replies stand in the order of the commands.
    private func respond(
        to commands: [(method: APIMethod, APIRequest)], isParallel: Bool
    ) -> WorkerResponse {
        let outcomes: [Result<ByteBuffer, APIError>] =
            isParallel
            ? commands.map { self.methods.begin($0.1) }.map { $0() }
            : commands.map { self.methods.begin($0.1)() }
        var replies = ByteBuffer(string: #"{"replies":["#)
        for (index, outcome) in outcomes.enumerated() {
            if index > 0 { replies.writeStaticString(",") }
            switch outcome {
            case .success(let result):
                replies.writeString(#"{"\#(commands[index].method.rawValue)":"#)
                replies.writeImmutableBuffer(result)
                replies.writeStaticString("}")
            case .failure(let error):
                self.metrics.errors.increment()
                replies.writeString(#"{"error":\#(error.json)}"#)
            }
        }
        return .json("", replies, "]}")
    }
}

extension WorkerResponse {
    /// JSON text between two pieces of it.
    fileprivate static func json(_ before: String, _ text: ByteBuffer, _ after: String) -> WorkerResponse {
        var body = ByteBuffer()
        body.reserveCapacity(before.utf8.count + text.readableBytes + after.utf8.count)
        body.writeString(before)
        body.writeImmutableBuffer(text)
        body.writeString(after)
        return WorkerResponse(contentType: "application/json", body)
    }
}

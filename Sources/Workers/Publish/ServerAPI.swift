import ChannelLayer
import Logging
import NIOCore
import Telemetry

/// Does what requests to the server API ask for: what concerns messages with the layer, what concerns connections with all
/// gateways.
///
/// Every method is begun, and what was begun is then waited for: so several of a batch can be under way at once.
struct ServerAPI: Sendable {
    /// Waits on a pool thread, and gives the result as JSON text.
    typealias Outcome = () -> Result<ByteBuffer, APIError>

    let layer: any ChannelLayer
    let cluster: Cluster
    let rules: ChannelRules.LookUp
    let logger: Logger
    let metrics: PublishMetrics
    /// How long the layer may take.
    let layerTimeout: TimeAmount
    /// How long gateways may take to answer.
    let surveyTimeout: TimeAmount

    func begin(_ request: APIRequest) -> Outcome {
        do throws(APIError) {
            switch request {
            case .publish(let channel, let publication): return try self.publish(publication, to: channel)
            case .broadcast(let channels, let publication): return try self.broadcast(publication, to: channels)
            case .subscribe(let selector, let subscription): return try self.subscribe(selector, subscription)
            case .unsubscribe(let selector, let channel): return try self.unsubscribe(selector, channel)
            case .disconnect(let selector, let spared, let code, let reason):
                return try self.disconnect(selector, sparing: spared, code, reason)
            case .refresh(let selector, let isExpired, let expires, let info):
                return try self.refresh(selector, isExpired: isExpired, expires: expires, info: info)
            case .presence(let channel): return try self.presence(of: channel)
            case .presenceStats(let channel): return try self.presenceStats(of: channel)
            case .history(let channel, let query): return try self.history(of: channel, query)
            case .historyRemove(let channel): return try self.removeHistory(of: channel)
            case .channels(let pattern): return try self.channels(matching: pattern)
            case .connections(let user, let expression): return try self.connections(of: user, expression)
            case .info: return self.info()
            // An extension of its own would be needed.
            case .rpc: throw .methodNotFound
            // It has an answer of another shape, and none in another one.
            case .batch: throw .badRequest
            }
        } catch {
            return { .failure(error) }
        }
    }

    // MARK: What the methods share

    /// A channel and what counts for it.
    ///
    /// - Throws: `badRequest` for what is no name, `unknownChannel` when its namespace is not there.
    func look(up channel: String) throws(APIError) -> (channel: ClientChannel, rules: ChannelRules) {
        guard let name = try? ClientChannel(channel) else { throw .badRequest }
        guard let rules = self.rules(channel) else { throw .unknownChannel }
        return (name, rules)
    }

    /// The layer's error as the client's.
    func explain(_ error: LayerError, _ group: GroupName?) -> APIError {
        if error.code == .invalidMessage || error.code == .invalidName { return .badRequest }
        if error.code == .unsupported { return .notAvailable }
        self.logger.error(
            "The layer did not do what the API asked for",
            metadata: [LogKey.group: "\(group?.text ?? "")", LogKey.error: "\(error)"])
        return .internal
    }

    /// Begins something with the layer.
    ///
    /// - Returns: what waits for it, not longer than the layer may take.
    func started<Value: Sendable>(
        _ group: GroupName, _ begin: (@escaping @Sendable (Result<Value, LayerError>) -> Void) -> Void
    ) -> () -> Result<Value, APIError> {
        let deadline = NIODeadline.now() + self.layerTimeout
        let outcome = Monitor<Result<Value, LayerError>?>(nil)
        begin { result in outcome.signal { $0 = result } }
        return {
            switch outcome.wait(until: deadline, for: { $0 }) {
            case .success(let value)?: return .success(value)
            case .failure(let error)?: return .failure(self.explain(error, group))
            case nil:
                self.logger.error("The layer did not answer in time", metadata: [LogKey.group: "\(group)"])
                return .failure(.internal)
            }
        }
    }
}

extension ByteBuffer {
    /// `{}`, the result of what has none.
    static var emptyObject: ByteBuffer { ByteBuffer(string: "{}") }
}

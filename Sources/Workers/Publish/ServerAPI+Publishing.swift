import ChannelLayer
import HTTP1
import JSON
import NIOCore

extension ServerAPI {
    func publish(_ publication: APIPublication, to channel: String) throws(APIError) -> Outcome {
        let pending = self.publish(try publication.message(), publication, to: channel)
        return {
            pending().map { position in
                var json = ByteBuffer()
                json.writePublishResult(position)
                return json
            }
        }
    }

    /// To all channels at once; each has an outcome of its own.
    func broadcast(_ publication: APIPublication, to channels: [String]) throws(APIError) -> Outcome {
        // Nothing to publish is wrong for all of them, unless one may have an empty publication.
        let mayBeEmpty = { (channel: String) in self.rules(channel)?.allowsNoData ?? false }
        guard !channels.isEmpty, !publication.isEmpty || channels.contains(where: mayBeEmpty) else { throw .badRequest }
        let message = try publication.message()
        let pending = channels.map { self.publish(message, publication, to: $0) }
        return {
            var json = ByteBuffer(string: #"{"responses":["#)
            for (index, outcome) in pending.enumerated() {
                if index > 0 { json.writeStaticString(",") }
                switch outcome() {
                case .success(let position):
                    json.writeStaticString(#"{"result":"#)
                    json.writePublishResult(position)
                    json.writeStaticString("}")
                case .failure(let error): json.writeString(#"{"error":\#(error.json)}"#)
                }
            }
            json.writeStaticString("]}")
            return .success(json)
        }
    }

    /// - Returns: what waits for the position, which is `nil` when nothing is kept.
    private func publish(
        _ message: LayerMessage, _ publication: APIPublication, to channel: String
    ) -> () -> Result<StreamPosition?, APIError> {
        let found: (channel: ClientChannel, rules: ChannelRules)
        do throws(APIError) {
            found = try self.look(up: channel)
            if publication.isEmpty, !found.rules.allowsNoData { throw .badRequest }
        } catch {
            return { .failure(error) }
        }
        let group = found.channel.group
        let pending: () -> Result<StreamPosition?, APIError> =
            if let (store, options) = self.keeping(publication, found.rules) {
                self.started(group) { done in
                    store.publish(message, toGroup: group, keeping: options) { result in
                        done(result.map { $0.position.epoch.isEmpty ? nil : $0.position })
                    }
                }
            } else {
                self.started(group) { done in
                    self.layer.submit(message, toGroup: group) { error in
                        done(error.map { .failure($0) } ?? .success(nil))
                    }
                }
            }
        return {
            let outcome = pending()
            if case .success = outcome { self.metrics.publications.increment() }
            return outcome
        }
    }

    /// How it is kept; `nil` when it just passes.
    private func keeping(
        _ publication: APIPublication, _ rules: ChannelRules
    ) -> (any GroupStore, HistoryOptions)? {
        guard let store = self.layer.store else { return nil }
        var options = HistoryOptions(size: 0, timeToLive: .zero)
        if let history = rules.history, !publication.skipsHistory {
            options = history
            options.version = publication.version
            options.versionEpoch = publication.versionEpoch
        }
        options.idempotencyKey = publication.idempotencyKey.isEmpty ? nil : publication.idempotencyKey
        return options.keepsHistory || options.idempotencyKey != nil ? (store, options) : nil
    }
}

extension APIPublication {
    /// Whether there is nothing to publish.
    var isEmpty: Bool { self.data == nil && self.base64.isEmpty }

    /// The JSON text as it came, or the bytes that `b64data` stands for; and what travels with them.
    ///
    /// - Throws: `badRequest` when what is there is not base64, or a key is too long.
    func message() throws(APIError) -> LayerMessage {
        guard [self.idempotencyKey, self.versionEpoch].allSatisfy(ServerAPI.isShort) else { throw .badRequest }
        var data = LayerValue.bytes(ByteBuffer())
        if !self.base64.isEmpty {
            guard let bytes = Base64.decode(self.base64.utf8), !bytes.isEmpty else { throw .badRequest }
            data = .bytes(ByteBuffer(bytes: bytes))
        } else if let json = self.data {
            data = .json(json)
        }
        var message = LayerMessage.publication(data)
        func add(_ key: String, _ value: LayerValue) { message.entries.append(.init(key: .string(key), value: value)) }
        if !self.tags.isEmpty {
            add("tags", .map(self.tags.map { .init(key: .string($0.key), value: .string($0.value)) }))
        }
        if self.wantsDelta { add("delta", .bool(true)) }
        return message
    }
}

extension ByteBuffer {
    /// `{"offset":4,"epoch":"hXkq"}`, or `{}` without a position.
    fileprivate mutating func writePublishResult(_ position: StreamPosition?) {
        guard let position else {
            self.writeStaticString("{}")
            return
        }
        self.writeString(#"{"offset":\#(position.offset),"epoch":"#)
        self.writeJSONString(position.epoch)
        self.writeStaticString("}")
    }
}

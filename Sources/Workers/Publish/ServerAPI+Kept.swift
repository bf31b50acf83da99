import ChannelLayer
import HTTP1
import JSON
import NIOCore

/// What is kept of channels: history and presence.
extension ServerAPI {
    // MARK: History

    func history(of channel: String, _ wanted: APIHistory) throws(APIError) -> Outcome {
        let (channel, rules) = try self.look(up: channel)
        guard let history = rules.history, let store = self.layer.store else { throw .notAvailable }
        if wanted.isReverse, wanted.since?.offset == 0 { throw .badRequest }
        let query = HistoryQuery(
            limit: wanted.limit, since: wanted.since, isReverse: wanted.isReverse,
            metaTimeToLive: history.metaTimeToLive)
        let pending = self.started(channel.group) { done in
            store.readHistory(of: channel.group, query, completion: done)
        }
        return {
            pending().flatMap { page in
                if let epoch = wanted.since?.epoch, !epoch.isEmpty, epoch != page.top.epoch {
                    return .failure(.unrecoverablePosition)
                }
                var json = ByteBuffer(string: #"{"publications":["#)
                for (index, publication) in page.publications.enumerated() {
                    if index > 0 { json.writeStaticString(",") }
                    json.writePublication(publication)
                }
                json.writeStaticString(#"],"epoch":"#)
                json.writeJSONString(page.top.epoch)
                json.writeString(#","offset":\#(page.top.offset)}"#)
                return .success(json)
            }
        }
    }

    func removeHistory(of channel: String) throws(APIError) -> Outcome {
        let (channel, rules) = try self.look(up: channel)
        guard rules.history != nil, let store = self.layer.store else { throw .notAvailable }
        let pending = self.started(channel.group) { done in
            store.removeHistory(of: channel.group) { done($0.map { .failure($0) } ?? .success(())) }
        }
        return { pending().map { .emptyObject } }
    }

    // MARK: Presence

    func presence(of channel: String) throws(APIError) -> Outcome {
        let pending = try self.clients(of: channel)
        return {
            pending().map { clients in
                var json = ByteBuffer(string: #"{"presence":"#)
                json.writeObject(clients.map { ($0.client, $0.json) })
                json.writeStaticString("}")
                return json
            }
        }
    }

    func presenceStats(of channel: String) throws(APIError) -> Outcome {
        let (name, rules) = try self.look(up: channel)
        guard rules.hasPresence else { throw .notAvailable }
        let pending: () -> Result<PresenceStats, APIError>
        if let store = self.layer.store {
            pending = self.started(name.group) { done in store.readPresenceStats(of: name.group, completion: done) }
        } else {
            let clients = try self.clients(of: channel)
            pending = {
                clients().map { PresenceStats(clients: $0.count, users: Set($0.map(\.user)).count) }
            }
        }
        return {
            pending().map { ByteBuffer(string: #"{"num_clients":\#($0.clients),"num_users":\#($0.users)}"#) }
        }
    }

    /// Who is there: of the layer, or of all gateways where the layer does not keep it.
    private func clients(of channel: String) throws(APIError) -> () -> Result<[Presence], APIError> {
        let (name, rules) = try self.look(up: channel)
        guard rules.hasPresence else { throw .notAvailable }
        if let store = self.layer.store {
            return self.started(name.group) { done in store.readPresence(of: name.group, completion: done) }
        }
        let pending = self.survey(.presence(channel: channel))
        return {
            pending().map { answers in
                answers.flatMap { answer -> [Presence] in
                    guard case .clients(let clients) = answer else { return [] }
                    return clients.map { client, info in
                        Presence(
                            client: client, user: JSONText(unchecked: info).field("user")?.stringValue ?? "", info: info
                        )
                    }
                }
            }
        }
    }
}

extension Presence {
    /// What others are told, which is JSON; what another process has put there is nobody's fault.
    fileprivate var json: ByteBuffer {
        if let text = try? JSONText(validating: self.info), text.isObject { return text.bytes }
        var json = ByteBuffer(string: #"{"user":"#)
        json.writeJSONString(self.user)
        json.writeStaticString(#","client":"#)
        json.writeJSONString(self.client)
        json.writeStaticString("}")
        return json
    }
}

extension ByteBuffer {
    /// `{"a":…,"b":…}`, of values that are JSON text.
    mutating func writeObject(_ members: [(key: String, value: ByteBuffer)]) {
        self.writeStaticString("{")
        for (index, member) in members.enumerated() {
            if index > 0 { self.writeStaticString(",") }
            self.writeJSONString(member.key)
            self.writeStaticString(":")
            self.writeImmutableBuffer(member.value)
        }
        self.writeStaticString("}")
    }

    /// `{"data":…,"offset":1,"info":…,"tags":…}`
    fileprivate mutating func writePublication(_ publication: StoredPublication) {
        let message = publication.message
        self.writeStaticString(#"{"data":"#)
        if message.type == LayerMessage.publicationType {
            self.writeData(message["data"] ?? .null)
        } else {
            // A group's message as a backend sent it, without what the store has added.
            let added = [LayerMessage.offsetKey, LayerMessage.epochKey].map(LayerValue.string)
            self.writeData(.map(message.entries.filter { !added.contains($0.key) }))
        }
        self.writeString(#","offset":\#(publication.offset)"#)
        for key in ["info", "tags"] {
            guard let value = message[key], value != .null, let text = LayerJSON.text(of: value) else { continue }
            self.writeString(#","\#(key)":"#)
            self.writeImmutableBuffer(text)
        }
        self.writeStaticString("}")
    }

    /// Bytes that are JSON text are data as they are; others become base64.
    private mutating func writeData(_ data: LayerValue) {
        if case .bytes(let bytes) = data, let text = try? JSONText(validating: bytes) {
            self.writeImmutableBuffer(text.bytes)
        } else if let text = LayerJSON.text(of: data) {
            self.writeImmutableBuffer(text)
        } else {
            self.writeStaticString("null")
        }
    }
}

extension LayerJSON {
    /// - Returns: compact JSON; `nil` when it is nested too deeply.
    fileprivate static func text(of value: LayerValue) -> ByteBuffer? {
        self.text(of: value) { bytes, buffer in buffer.writeBase64(bytes) }
    }
}

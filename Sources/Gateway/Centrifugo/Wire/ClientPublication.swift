import ChannelLayer

/// A publication as subscribers get it: live, recovered, or out of the history.
struct ClientPublication: Equatable, Sendable {
    var data: ClientData
    /// Of who published it, when that was a client.
    var info: ClientInfo?
    /// Its place in the channel's stream; 0 where none is kept.
    var offset: UInt64 = 0
    var tags: [String: String] = [:]
    /// Milliseconds since 1970; 0 when it is not known.
    var time: Int64 = 0
    /// `data` is a patch for the publication before.
    var isDelta = false

    init(_ data: ClientData, info: ClientInfo? = nil, offset: UInt64 = 0, tags: [String: String] = [:]) {
        self.data = data
        self.info = info
        self.offset = offset
        self.tags = tags
    }

    /// What a group's message is for those who follow the group as a channel.
    ///
    /// - Parameter dataKey: the namespace's: the key whose value is the data of a message that is no publication.
    init(_ message: LayerMessage, dataKey: String?) throws(Fault) {
        let data: LayerValue?
        switch message.type {
        case LayerMessage.publicationType?: data = message.value(under: "data")
        // About the one WebSocket of a consumer, which a channel is not.
        case let type? where type.utf8.starts(with: "websocket.".utf8): throw Fault(.protocolEvent)
        default: data = if let dataKey { message.value(under: dataKey) } else { LayerValue.map(message.entries) }
        }
        guard let data else { throw Fault(.missingKey) }
        guard let sayable = ClientData(data) else { throw Fault(.notEncodable) }
        self.data = sayable
        guard message.type == LayerMessage.publicationType else { return }
        self.info = message.valueUnlessNull(under: "info").flatMap(ClientInfo.init)
        self.offset = message.value(under: "offset")?.unsigned ?? 0
        self.time = Int64(clamping: message.value(under: "time")?.unsigned ?? 0)
        self.tags = message.publicationTags
    }

    /// Why a message is no publication.
    struct Fault: Error {
        let reason: DropReason
        init(_ reason: DropReason) { self.reason = reason }
    }
}

extension LayerMessage {
    /// What a publisher says of a publication beside its data.
    var publicationTags: [String: String] {
        var tags: [String: String] = [:]
        switch self.value(under: "tags") {
        case .map(let entries)?:
            for entry in entries {
                guard case (.string(let key), .string(let value)) = (entry.key, entry.value) else { continue }
                tags[key] = value
            }
        case .json(let text)?:
            for (key, value) in (try? ClientFields(text.bytes, wanted: nil))?.values ?? [:] {
                tags[key] = value.stringValue
            }
        default: break
        }
        return tags
    }
}

extension LayerValue {
    /// A whole number from 0 on.
    fileprivate var unsigned: UInt64? {
        switch self {
        case .int(let number): UInt64(exactly: number)
        case .uint(let number): number
        default: nil
        }
    }
}

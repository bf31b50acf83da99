import ChannelLayer
import JSON

/// What a browser says to a channel.
extension ClientProtocol {
    mutating func publish(_ id: UInt32, _ channel: String, _ data: ClientData?) -> [Action] {
        switch self.lookUp(channel) {
        case .failure(let error): return self.refuse(id, error)
        case .success(let found):
            guard let data = found.options.publicationFormat.accepted(data) else { return self.refuse(id, .badRequest) }
            switch found.options.publishDecision(by: self.asker(of: channel)) {
            case .allowed:
                self.pending = .publishing(id: id)
                return [
                    .publish(
                        found.channel, namespace: found.namespace, data: data, publisher: self.info(in: channel))
                ]
            case .ask: return self.askToPublish(id, found, data)
            case .refused(let error): return self.refuse(id, error)
            }
        }
    }

    /// What the layer says of the publication.
    mutating func published(_ error: LayerError?) -> [Action] {
        guard case .publishing(let id)? = self.takePending() else { return [] }
        return [.reply(ClientReply(id, error == nil ? .publish : .error(.internal)))]
    }
}

extension ChannelOptions.PublicationFormat {
    /// The data that is published; `nil` for what may not be.
    func accepted(_ data: ClientData?) -> ClientData? {
        switch self {
        case .any: data
        case .binary: data ?? .bytes(.init())
        case .json: data.flatMap { $0.jsonText == nil ? nil : $0 }
        case .jsonObject: data.flatMap { $0.jsonText?.isObject == true ? $0 : nil }
        }
    }
}

import ChannelLayer
import JSON
import NIOCore

/// What a group's message becomes for those who follow the group as a channel: one push, the same for all who are spoken
/// to in one form.
///
///     {"push":{"channel":"news","pub":{"data":…}}}
///
/// This is where plain groups become channels: whatever a backend sends to the group `news` is a publication in `news`.
struct ChannelPush: Sendable {
    let dataKey: String?
    private let conflateKey: String?

    init(_ options: ChannelOptions) {
        self.dataKey = options.dataKey
        self.conflateKey = options.conflateKey
    }

    /// What a newer publication replaces this one by, for readers who are too slow for both: a value in its data, or the
    /// same for all. `nil` for what is no publication, or has no such value.
    func key(of message: LayerMessage) -> String? {
        if message.type == LayerMessage.joinType || message.type == LayerMessage.leaveType { return nil }
        guard let conflateKey else { return "" }
        guard let data = (try? ClientPublication(message, dataKey: self.dataKey))?.data else { return nil }
        guard let value = JSONText(unchecked: data.json).field(conflateKey) else { return nil }
        return String(buffer: value.bytes)
    }

    func outcome(for message: LayerMessage, in group: GroupName, as form: ClientForm) -> RuleOutcome {
        let event: ClientPush.Event
        var room = 256
        switch message.type {
        case LayerMessage.joinType?, LayerMessage.leaveType?:
            guard form.contains(.joinLeave) else { return .nothing }
            guard let info = message.value(under: "info").flatMap(ClientInfo.init) else { return .drop(.missingKey) }
            event = message.type == LayerMessage.joinType ? .join(info) : .leave(info)
        default:
            do throws(ClientPublication.Fault) {
                let publication = try ClientPublication(message, dataKey: self.dataKey)
                room &+= publication.data.bytes.readableBytes
                event = .publication(publication)
            } catch {
                return .drop(error.reason)
            }
        }
        let push = ClientPush(ClientChannel(of: group).text, event)
        var frame = Self.allocator.buffer(capacity: room)
        form.codec.write(push, isBare: form.contains(.bare), to: &frame)
        return form.codec.message(frame)
    }

    private static let allocator = ByteBufferAllocator()
}

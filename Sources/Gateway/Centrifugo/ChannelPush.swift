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
    private let patchesAlways: Bool

    init(_ options: ChannelOptions) {
        self.dataKey = options.dataKey
        self.conflateKey = options.conflateKey
        self.patchesAlways = options.deltaPublish
    }

    /// What a newer publication replaces this one by, for readers who are too slow for both: a value in its data, or the
    /// same for all. `nil` for what is no publication, or has no such value.
    func key(of message: LayerMessage) -> String? {
        if message.isJoinOrLeave { return nil }
        guard let conflateKey else { return "" }
        guard let data = (try? ClientPublication(message, dataKey: self.dataKey))?.data else { return nil }
        guard let value = JSONText(unchecked: data.json).field(conflateKey) else { return nil }
        return String(buffer: value.bytes)
    }

    /// Whether a publication is to be told as a patch where that is shorter: the namespace or its publisher says so.
    func wantsPatch(of message: LayerMessage) -> Bool {
        self.patchesAlways || message.value(under: "delta") == .bool(true)
    }

    /// - Parameter number: of the channel, where one stands for its name.
    func outcome(
        for message: LayerMessage, in group: GroupName, as form: ClientForm, number: Int64 = 0
    ) -> RuleOutcome {
        let event: ClientPush.Event
        var room = 256
        if message.isJoinOrLeave {
            guard form.contains(.joinLeave) else { return .nothing }
            guard let info = message.value(under: "info").flatMap(ClientInfo.init) else { return .drop(.missingKey) }
            event = message.type == LayerMessage.joinType ? .join(info) : .leave(info)
        } else {
            do throws(ClientPublication.Fault) {
                var publication = try ClientPublication(message, dataKey: self.dataKey)
                room &+= publication.data.bytes.readableBytes
                if form.contains(.delta), form.codec == .json { publication.data = publication.data.quoted }
                event = .publication(publication)
            } catch {
                return .drop(error.reason)
            }
        }
        return Self.outcome(event, in: group, as: form, number: number, room: room)
    }

    /// The same as a patch.
    ///
    /// - Parameter patch: what makes the publication's data of the one before.
    func outcome(
        for publication: ClientPublication, patch: ByteBuffer, in group: GroupName, as form: ClientForm, number: Int64
    ) -> RuleOutcome {
        var publication = publication
        publication.data = form.codec == .json ? .quoted(patch) : .bytes(patch)
        publication.isDelta = true
        return Self.outcome(
            .publication(publication), in: group, as: form, number: number, room: patch.readableBytes &+ 256)
    }

    private static func outcome(
        _ event: ClientPush.Event, in group: GroupName, as form: ClientForm, number: Int64, room: Int
    ) -> RuleOutcome {
        let push = ClientPush(
            ClientChannel(of: group).text, number: form.contains(.compact) ? number : 0, event)
        var frame = Self.allocator.buffer(capacity: room)
        form.codec.write(push, isBare: form.contains(.bare), to: &frame)
        return form.codec.message(frame)
    }

    private static let allocator = ByteBufferAllocator()
}

/// How one browser of the protocol is spoken to, beside its wire. Part of what decides the bytes of a push.
struct ClientForm: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Protobuf; JSON without it.
    static let protobuf = ClientForm(rawValue: 1)
    /// A unidirectional transport: pushes stand by themselves, and not in a reply.
    static let bare = ClientForm(rawValue: 2)
    /// Others' coming and going is told.
    static let joinLeave = ClientForm(rawValue: 4)
    /// Publications are patches where that is shorter; in JSON their data is a text then, patches or not.
    static let delta = ClientForm(rawValue: 8)
    /// A number stands for the channel's name.
    static let compact = ClientForm(rawValue: 16)

    var codec: ClientCodec { self.contains(.protobuf) ? .protobuf : .json }
}

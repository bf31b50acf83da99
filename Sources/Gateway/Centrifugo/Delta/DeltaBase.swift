import JSON
import NIOCore

/// The last publication of a group some of whose followers want patches: what the next patch is for.
///
/// It belongs to the audience, whose lock is held until a publication's frames are in the inboxes of all loops. Several
/// threads may bring messages of one group, and a patch must come behind what it is for.
struct DeltaBase: Sendable {
    private var data: [UInt8]?
    private var isJSON = false

    init() {}

    /// A publication that may be told as a patch.
    struct Step {
        /// `nil` where there is none, or it would not be shorter.
        fileprivate let patch: ByteBuffer?
        /// Both ends of it are JSON: it can be used where everything is text.
        fileprivate let isJSON: Bool

        /// The patch, for who speaks so; `nil` where the publication is told whole.
        func patch(_ codec: ClientCodec) -> ByteBuffer? { self.isJSON || codec == .protobuf ? self.patch : nil }
    }

    /// Larger data is told whole: to find what is equal would hold up the layer's thread.
    private static let sizeLimit = 262_144

    /// The step from the last publication to this one, which is the last one from now on.
    ///
    /// - Parameter isWanted: whether there is to be a patch.
    mutating func advance(to data: ClientData, isWanted: Bool) -> Step {
        let target = [UInt8](buffer: data.bytes)
        let isJSON = data.jsonText != nil
        defer { (self.data, self.isJSON) = (target, isJSON) }
        guard isWanted, let source = self.data, max(source.count, target.count) <= Self.sizeLimit else {
            return Step(patch: nil, isJSON: false)
        }
        let patch = Fossil.patch(from: source, to: target)
        guard patch.count < target.count else { return Step(patch: nil, isJSON: false) }
        return Step(patch: ByteBuffer(bytes: patch), isJSON: isJSON && self.isJSON)
    }
}

extension [ClientPublication] {
    /// Publications of a stream, the oldest first, for who wants patches: the first one whole.
    func asPatches(_ codec: ClientCodec) -> [ClientPublication] {
        var base = DeltaBase()
        return self.map { publication in
            var publication = publication
            if let patch = base.advance(to: publication.data, isWanted: true).patch(codec) {
                publication.data = codec == .json ? .quoted(patch) : .bytes(patch)
                publication.isDelta = true
            } else if codec == .json {
                publication.data = publication.data.quoted
            }
            return publication
        }
    }
}

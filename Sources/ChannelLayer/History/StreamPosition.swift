/// A place in the stream of a group's publications: the offset of one, and which life of the stream it belongs to.
public struct StreamPosition: Hashable, Sendable {
    /// 1 for the first publication, and one more for each that follows; 0 before the first.
    public var offset: UInt64
    /// Random; another one when the stream began anew. Empty in a question: whichever is current.
    public var epoch: String

    public init(offset: UInt64, epoch: String) {
        self.offset = offset
        self.epoch = epoch
    }
}

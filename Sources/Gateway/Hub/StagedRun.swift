import NIOCore

/// Frames that wait for the end of a loop turn with a browser that follows several groups: one run for all browsers that
/// got the same frames since they were last written to, joined once for all of them.
///
/// ```
///  frames    a          b           c
///            a ───────▶ ab ───────▶ abc     who follows all three groups
///            └────────────────────▶ ac      who follows the first and the third
/// ```
///
/// What a browser gets decides which run it has, and nothing has to be known of who follows what: browsers with the same
/// frames stay together from frame to frame (`FrameStaging`), and part at the first one that not all of them get. The runs
/// along a line share their bytes, and each knows how many of them are its own.
final class StagedRun {
    /// Perhaps with more behind the end, of runs that go on from this one.
    private var joined: Joined
    private var length: Int
    /// This run and the frame that is being staged, as somebody before has got it.
    fileprivate var next: StagedRun?

    private final class Joined {
        var bytes: ByteBuffer
        init(_ bytes: ByteBuffer) { self.bytes = bytes }
    }

    /// The only frame of most turns goes out as it is, uncopied.
    fileprivate convenience init(_ frame: ByteBuffer) { self.init(Joined(frame), frame.readableBytes) }

    private init(_ joined: Joined, _ length: Int) {
        self.joined = joined
        self.length = length
    }

    /// The joined frames, and nothing else: they may wait for long with a reader who is slow, and what is behind them would
    /// wait with them, and be counted by nobody.
    var bytes: ByteBuffer {
        self.standAlone()
        return self.joined.bytes
    }

    /// Goes on with `frame` itself; only for the one that has this run.
    fileprivate func append(_ frame: ByteBuffer) {
        self.standAlone()
        self.joined.bytes.writeImmutableBuffer(frame)
        self.length &+= frame.readableBytes
    }

    /// Another run, that goes on with `frame`.
    fileprivate func followed(by frame: ByteBuffer) -> StagedRun {
        // The first one takes the room behind the end; others begin anew.
        let joined = self.isAtEnd ? self.joined : Joined(self.copy(roomFor: frame.readableBytes))
        joined.bytes.writeImmutableBuffer(frame)
        return StagedRun(joined, self.length &+ frame.readableBytes)
    }

    /// No other run has gone on from here in the same bytes.
    private var isAtEnd: Bool { self.joined.bytes.readableBytes == self.length }

    private func standAlone() {
        if !self.isAtEnd { self.joined = Joined(self.copy(roomFor: 0)) }
    }

    private func copy(roomFor more: Int) -> ByteBuffer {
        var copy = Self.allocator.buffer(capacity: self.length &+ more)
        copy.writeBytes(self.joined.bytes.readableBytesView.prefix(self.length))
        return copy
    }

    private static let allocator = ByteBufferAllocator()
}

/// One frame on its way to one browser after the other, which keep it for the end of the loop turn. Ends before the next
/// frame is staged.
struct FrameStaging: ~Copyable {
    private let frame: ByteBuffer
    /// The frame alone.
    private var alone: StagedRun?
    /// The runs that it was added to.
    private var continued: [StagedRun] = []

    init(_ frame: ByteBuffer) { self.frame = frame }

    // Not later: a run that knew the next one, and that one its next one, would be freed by a call in a call in a call.
    deinit { for run in self.continued { run.next = nil } }

    /// Adds the frame to what somebody has, `nil` for nothing.
    mutating func add(to staged: inout StagedRun?) {
        if isKnownUniquelyReferenced(&staged) {
            staged?.append(self.frame)
        } else if let run = staged {
            staged = run.next ?? self.go(on: run)
        } else {
            staged = self.alone ?? self.begin()
        }
    }

    private mutating func go(on run: StagedRun) -> StagedRun {
        let next = run.followed(by: self.frame)
        run.next = next
        self.continued.append(run)
        return next
    }

    private mutating func begin() -> StagedRun {
        let run = StagedRun(self.frame)
        self.alone = run
        return run
    }
}

import NIOCore
import TestSupport
import Testing

@testable import Gateway

/// What waits for browsers with several groups: each gets its frames, joined once for all who get the same.
@Suite(.timeLimit(.minutes(1))) struct StagedRunTests {
    /// What several browsers have, and frames for some of them.
    private struct Desk {
        var staged: [StagedRun?]
        var expected: [String]

        init(_ count: Int) {
            self.staged = Array(repeating: nil, count: count)
            self.expected = Array(repeating: "", count: count)
        }

        mutating func stage(_ frame: String, with browsers: some Sequence<Int>) {
            var staging = FrameStaging(ByteBuffer(string: frame))
            for browser in browsers {
                staging.add(to: &self.staged[browser])
                self.expected[browser] += frame
            }
        }

        /// What a browser has is written to it.
        mutating func flush(_ browser: Int) -> ByteBuffer {
            let bytes = self.staged[browser]?.bytes ?? ByteBuffer()
            #expect(String(buffer: bytes) == self.expected[browser])
            self.staged[browser] = nil
            self.expected[browser] = ""
            return bytes
        }
    }

    private static func address(_ bytes: ByteBuffer) -> UnsafeRawPointer? {
        bytes.withUnsafeReadableBytes { $0.baseAddress }
    }

    @Test func whoGetsTheSameFramesSharesTheirBytes() {
        var desk = Desk(3)
        for frame in ["a", "bc", "def"] { desk.stage(frame, with: 0..<3) }
        let written = (0..<3).map { desk.flush($0) }
        #expect(Set(written.map(Self.address)).count == 1)
    }

    @Test func theOnlyFrameGoesOutUncopied() {
        let frame = ByteBuffer(string: "the only one")
        var staged: StagedRun?
        do {
            var staging = FrameStaging(frame)
            staging.add(to: &staged)
        }
        #expect(Self.address(staged?.bytes ?? ByteBuffer()) == Self.address(frame))
    }

    @Test func browsersPartWhereTheirFramesDo() {
        var desk = Desk(4)
        desk.stage("a", with: 0..<4)
        desk.stage("b", with: [0, 1])
        desk.stage("c", with: [1, 2])
        desk.stage("d", with: 0..<4)
        for browser in 0..<4 { _ = desk.flush(browser) }
    }

    /// A slow reader keeps what it was given: what others got after it must not be kept with it.
    @Test func whoStopsEarlierHoldsNothingOfTheRest() {
        var desk = Desk(3)
        desk.stage("short", with: 0..<3)
        for _ in 0..<100 { desk.stage(String(repeating: "x", count: 1_000), with: [2]) }
        let (one, other) = (desk.flush(0), desk.flush(1))
        #expect(one.storageCapacity < 1_000)
        #expect(Self.address(one) == Self.address(other))
        _ = desk.flush(2)
    }

    /// What was handed out stays as it is, whatever its run goes on with.
    @Test func bytesThatAreOutDoNotChange() {
        var desk = Desk(2)
        desk.stage("a", with: 0..<2)
        desk.stage("b", with: 0..<2)
        let early = desk.flush(0)
        desk.stage("c", with: 0..<2)
        #expect(String(buffer: early) == "ab")
        for browser in 0..<2 { _ = desk.flush(browser) }
    }

    @Test(arguments: 0..<20) func anyFramesForAnybodyInAnyOrder(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var desk = Desk(12)
        for number in 0..<500 {
            // Some sets come again and again, as those of groups do; others never.
            let often = [0b1111, 0b1100_1111, 0xFFF][number % 3]
            let mask = Bool.random(using: &random) ? often : Int(random.next() & 0xFFF)
            desk.stage("<\(number)>", with: (0..<12).filter { mask >> $0 & 1 == 1 })
            if number % 7 == 0 { _ = desk.flush(Int.random(in: 0..<12, using: &random)) }
        }
        for browser in 0..<12 { _ = desk.flush(browser) }
    }

    /// Over real sockets: browsers of different pairs of groups, of which some are the same.
    @Test(arguments: [1, 3, 1_000]) func whoFollowsWhatHearsThatInOrder(slice: Int) async throws {
        try await withGateway({ $0.slice = slice }) { gateway in
            let groups = ["a", "b", "c"]
            let pairs = [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b"), ("c", "a"), ("b", "c"), ("a", "b")]
            var browsers: [LiveBrowser] = []
            for (one, two) in pairs { browsers.append(try await gateway.open("/channels/pairs/\(one)/\(two)")) }
            var random = SeededGenerator(seed: UInt64(slice))
            let sent = (0..<600).map { (number: $0, group: groups[Int.random(in: 0..<3, using: &random)]) }
            for each in sent { try await gateway.publish("\(each.number)", to: each.group) }
            for (browser, pair) in zip(browsers, pairs) {
                for each in sent where each.group == pair.0 || each.group == pair.1 {
                    #expect(try await browser.nextText() == "\(each.number)")
                }
            }
        }
    }
}

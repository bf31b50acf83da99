import ChannelLayer
import ClientWire
import NIOCore
import SwiftProtobuf
import Testing

@testable import Gateway

@Suite struct RecoveryTests {
    private func since(_ offset: UInt64, _ epoch: String = "e") -> StreamPosition {
        StreamPosition(offset: offset, epoch: epoch)
    }

    @Test func allThatWasMissedOrNothing() {
        func recovery(_ since: StreamPosition, _ offsets: ClosedRange<UInt64>?, top: UInt64) -> [UInt64]? {
            let recovery = Recovery(since: since, ProtocolLine.page(offsets, top: top))
            return recovery.isComplete ? recovery.publications.map(\.offset) : nil
        }
        #expect(recovery(self.since(3), 4...6, top: 6) == [4, 5, 6])
        #expect(recovery(self.since(6), nil, top: 6) == [])
        #expect(recovery(self.since(0, ""), 1...2, top: 2) == [1, 2])
        #expect(recovery(self.since(0), nil, top: 0) == [])
        // The oldest has expired, the newest do not fit, another epoch, a place that does not exist yet.
        #expect(recovery(self.since(3), 5...6, top: 6) == nil)
        #expect(recovery(self.since(3), 4...6, top: 7) == nil)
        #expect(recovery(self.since(3), nil, top: 6) == nil)
        #expect(recovery(self.since(3, "f"), 4...6, top: 6) == nil)
        #expect(recovery(self.since(7), nil, top: 6) == nil)
        #expect(recovery(self.since(.max), nil, top: .max) == [])
    }

    @Test func theNewestAlone() {
        func recovery(_ since: StreamPosition?, _ offsets: ClosedRange<UInt64>?, top: UInt64) -> [UInt64]? {
            let recovery = Recovery(newestOf: ProtocolLine.page(offsets, top: top), since: since)
            return recovery.isComplete ? recovery.publications.map(\.offset) : nil
        }
        #expect(recovery(nil, 6...6, top: 6) == [6])
        #expect(recovery(self.since(3), 6...6, top: 6) == [6])
        #expect(recovery(self.since(6), 6...6, top: 6) == [])
        #expect(recovery(self.since(6, "f"), 6...6, top: 6) == [6])
        #expect(recovery(self.since(6), nil, top: 6) == [])
        #expect(recovery(nil, nil, top: 6) == nil)
        #expect(recovery(nil, nil, top: 0) == nil)
        #expect(recovery(self.since(0, ""), nil, top: 0) == nil)
    }

    // MARK: In the protocol

    private let recovering = #"{"id":2,"subscribe":{"channel":"kept:1","recover":true,"offset":3,"epoch":"e"}}"#

    @Test func whoComesBackGetsWhatWasMissed() throws {
        var line = try ProtocolLine.connected()
        #expect(try line.say(self.recovering) == ["open kept:1 3 since 3 e"])
        #expect(
            try line.opened(.success(ProtocolLine.page(4...5, top: 5))) == [
                #"{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":3,"#
                    + #""publications":[{"data":4,"offset":4},{"data":5,"offset":5}],"recovered":true,"#
                    + #""was_recovering":true}}"#, "join kept:1 ",
            ])
    }

    /// Who missed the same is told what was written for the first one, in JSON and in Protobuf.
    @Test(arguments: [ClientCodec.json, .protobuf], [ClientForm(), .delta])
    func whatManyMissedIsWrittenOnce(codec: ClientCodec, form: ClientForm) throws {
        let runs = WrittenRuns()
        var made = 0
        func written(_ offsets: ClosedRange<UInt64>, epoch: String = "e") throws -> WrittenPublications {
            let page = ProtocolLine.page(offsets, top: offsets.upperBound, epoch: epoch)
            let channel = try ClientChannel("kept:1")
            let run = try #require(WrittenRuns.Run(page.publications, of: channel, epoch, codec, form))
            return runs.written(run) {
                made += 1
                return page.publications.compactMap { try? ClientPublication($0.message, dataKey: nil) }
            }
        }
        let first = try written(4...9)
        #expect(try written(4...9) == first && made == 1)
        #expect(try written(4...10) != first && made == 2)
        _ = try written(4...9, epoch: "f")
        #expect(made == 3)
        // What was asked for within the last second remains, and then it goes.
        runs.secondPassed()
        _ = try written(4...9)
        #expect(made == 3)
        runs.secondPassed()
        runs.secondPassed()
        _ = try written(4...9)
        #expect(made == 4)
    }

    @Test(arguments: [ClientCodec.json, .protobuf]) func whatIsWrittenOnceSaysTheSame(codec: ClientCodec) throws {
        let page = ProtocolLine.page(4...9, top: 9)
        let publications = page.publications.compactMap { try? ClientPublication($0.message, dataKey: nil) }
        func reply(_ change: (inout ClientSubscribed) -> Void) throws -> [UInt8] {
            var subscribed = ClientSubscribed()
            subscribed.isRecovered = true
            subscribed.number = 7
            change(&subscribed)
            var connected = ClientConnected(client: "c")
            connected.subscriptions = ["kept:1": subscribed]
            var frame = ByteBuffer()
            codec.write(ClientReply(1, .connect(connected)), to: &frame)
            codec.write(ClientReply(2, .subscribe(subscribed)), to: &frame)
            guard codec == .protobuf else { return [UInt8](buffer: frame) }
            // Fields may stand in any order; written anew they have one.
            var same: [UInt8] = []
            while let length = frame.readVarint(), let message = frame.readBytes(length: Int(length)) {
                same += try WireReply(serializedBytes: message).serializedBytes() as [UInt8]
            }
            return same
        }
        let plain = try reply { $0.publications = publications }
        #expect(try reply { $0.written = WrittenPublications(publications, codec) } == plain)
        #expect(plain.count > 100)
    }

    @Test func whoCannotIsToldWhereTheStreamIs() throws {
        var line = try ProtocolLine.connected()
        _ = try line.say(self.recovering)
        #expect(
            try line.opened(.success(ProtocolLine.page(9...9, top: 9)))[0]
                == #"{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":9,"was_recovering":true}}"#
        )
    }

    @Test func whoWouldRatherHaveAnErrorGetsOne() throws {
        var line = try ProtocolLine.connected()
        _ = try line.say(#"{"id":2,"subscribe":{"channel":"kept:1","recover":true,"offset":3,"epoch":"f","flag":2}}"#)
        #expect(
            try line.opened(.success(ProtocolLine.page(4...5, top: 5))) == [
                "close kept:1", "gone kept:1", #"{"id":2,"error":{"code":112,"message":"unrecoverable position"}}"#,
            ])
        #expect(!line.machine.isHere("kept:1"))
    }

    @Test func inCacheModeEverybodyGetsTheNewest() throws {
        var line = try ProtocolLine.connected()
        #expect(try line.say(#"{"id":2,"subscribe":{"channel":"cache:1"}}"#) == ["open cache:1 4 newest"])
        #expect(
            try line.opened(.success(ProtocolLine.page(5...5, top: 5)))[0]
                == #"{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":5,"#
                + #""publications":[{"data":5,"offset":5}],"recovered":true}}"#)
    }

    @Test func aLostStreamIsLeftAtOnceAndToldLater() throws {
        var line = try ProtocolLine.connected()
        _ = try line.subscribe("kept:1", ProtocolLine.page(nil, top: 3))
        #expect(
            line.done(line.machine.lose("kept:1")) == ["close kept:1", "gone kept:1", "leave kept:1 ", "later kept:1"])
        #expect(
            line.done(line.machine.tellLost("kept:1")) == [
                #"push {"channel":"kept:1","unsubscribe":{"code":2500,"reason":"insufficient state"}}"#
            ])
        #expect(line.done(line.machine.tellLost("kept:1")) == [])
        // Who has left it meanwhile need not know.
        _ = try line.subscribe("kept:1", ProtocolLine.page(nil, top: 3))
        _ = line.done(line.machine.lose("kept:1"))
        _ = try line.say(#"{"id":4,"unsubscribe":{"channel":"kept:1"}}"#)
        #expect(line.done(line.machine.tellLost("kept:1")) == [])
        // Whose position is not watched is not told either.
        _ = try line.subscribe("news")
        #expect(line.done(line.machine.lose("news")) == [])
    }

    @Test func aLostStreamOfTheServersEndsTheConnection() throws {
        var line = ProtocolLine()
        _ = try line.say(#"{"id":1,"connect":{"token":"t"}}"#)
        _ = line.verified(ClientCredentials(user: "42", channels: ["kept:1": SubscriptionGrant()]))
        _ = try line.opened(.success(ProtocolLine.page(nil, top: 3)))
        _ = line.done(line.machine.lose("kept:1"))
        #expect(line.done(line.machine.tellLost("kept:1")) == ["end 3010"])
    }
}

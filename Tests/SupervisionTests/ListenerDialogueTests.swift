import Foundation
import NIOCore
import Supervision
import TestSupport
import Testing

@Suite struct ListenerDialogueTests {
    /// Events as a real supervisord wrote them.
    private struct Recording: Decodable {
        struct Event: Decodable {
            let event: String
            let header: String
            let payload_hex: String
            let payload_text: String
        }
        let listener_sends: [String: String]
        let events: [String: Event]

        static func load() throws -> Recording {
            try JSONDecoder().decode(
                Recording.self, from: Data(Vectors.bytes("supervisord-events.json").readableBytesView))
        }
    }

    private static func text(of event: Recording.Event) -> ByteBuffer {
        var bytes = ByteBuffer(string: event.header)
        bytes.writeImmutableBuffer(TestSupport.bytes(hex: event.payload_hex))
        return bytes
    }

    @Test func theListenerSaysWhatSupervisordWaitsFor() throws {
        let recording = try Recording.load()
        #expect(
            ByteBuffer(staticString: ListenerDialogue.ready)
                == bytes(hex: try #require(recording.listener_sends["ready_hex"])))
        #expect(
            ByteBuffer(staticString: ListenerDialogue.accepted)
                == bytes(hex: try #require(recording.listener_sends["ok_hex"])))
    }

    @Test func everyRecordedEventIsReadToItsLastCharacter() throws {
        let recording = try Recording.load()
        #expect(recording.events.count > 10)
        for (name, recorded) in recording.events {
            var dialogue = ListenerDialogue()
            dialogue.receive(Self.text(of: recorded))
            let event = try #require(try dialogue.next(), "\(name)")
            #expect(event.header.name == recorded.event)
            // Nothing is left over: the next event would begin in the wrong place.
            #expect(try dialogue.next() == nil)
            dialogue.receive(Self.text(of: recorded))
            #expect(try dialogue.next() == event, "\(name)")
        }
    }

    @Test func anEventMayArriveByteByByte() throws {
        for (name, recorded) in try Recording.load().events {
            var dialogue = ListenerDialogue()
            var whole = Self.text(of: recorded)
            while let byte = whole.readSlice(length: 1) {
                #expect(try dialogue.next() == nil, "\(name)")
                dialogue.receive(byte)
            }
            #expect(try dialogue.next()?.header.name == recorded.event)
        }
    }

    @Test func lengthsCountCharactersAndNotBytes() throws {
        var dialogue = ListenerDialogue()
        let payload = "type:mytype\nmy data €\nsecond"
        dialogue.receive(
            ByteBuffer(
                string:
                    "ver:3.0 server:lab serial:1 pool:p poolserial:1 eventname:REMOTE_COMMUNICATION len:28\n\(payload)"
                    + "ver:3.0 server:lab serial:2 pool:p poolserial:2 eventname:TICK_5 len:15\nwhen:1795234690"))
        let event = try dialogue.next()
        #expect(event?.kind == .remoteCommunication(type: "mytype", body: "my data €\nsecond"))
        #expect(try dialogue.next()?.kind == .tick)
    }

    @Test func aLineThatIsNoHeaderEndsTheDialogue() {
        for line in ["hello", "", "eventname:X", "eventname:X len:-1", "eventname:X len:one"] {
            var dialogue = ListenerDialogue()
            dialogue.receive(ByteBuffer(string: line + "\n"))
            #expect(throws: DialogueError.malformedHeader(line)) { try dialogue.next() }
        }
    }

    @Test func whatIsAnnouncedIsBounded() {
        var dialogue = ListenerDialogue()
        dialogue.receive(ByteBuffer(string: "eventname:X len:9999999999\n"))
        #expect(throws: DialogueError.payloadTooLong(9_999_999_999)) { try dialogue.next() }
        dialogue = ListenerDialogue()
        dialogue.receive(ByteBuffer(repeating: UInt8(ascii: "x"), count: 5_000))
        #expect(throws: DialogueError.headerTooLong) { try dialogue.next() }
    }

    @Test func noBytesHarmTheReader() throws {
        let corpus = try Recording.load().events.values.map { Array(Self.text(of: $0).readableBytesView) }
        var mutator = Mutator(corpus: corpus, interesting: Array(" :\n0129€".utf8), seed: 11)
        for _ in 0..<2_000 {
            var dialogue = ListenerDialogue()
            dialogue.receive(ByteBuffer(bytes: mutator.next()))
            do { while try dialogue.next() != nil {} } catch {}
        }
    }

    @Test func aProcessEventSaysAllThatSupervisordSays() throws {
        var dialogue = ListenerDialogue()
        let payload = "processname:cat groupname:app from_state:RUNNING expected:0 pid:2766"
        dialogue.receive(
            ByteBuffer(
                string:
                    "ver:3.0 server:lab serial:1 pool:p poolserial:1 eventname:PROCESS_STATE_EXITED len:\(payload.count)\n"
                    + payload))
        guard case .process(let change) = try dialogue.next()?.kind else {
            Issue.record("no process event")
            return
        }
        #expect((change.group, change.name) == ("app", "cat"))
        #expect((change.from, change.to) == ("RUNNING", "EXITED"))
        #expect(change.pid == 2_766)
        #expect(change.isExpected == false)
    }
}

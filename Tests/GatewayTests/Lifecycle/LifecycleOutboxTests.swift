import ChannelLayer
import Crypto
import NIOCore
import Testing

@testable import Gateway

struct LifecycleOutboxTests {
    private static func event(_ user: String) -> LifecycleEvent {
        var event = LifecycleEvent(kind: .online, time: 1)
        event.user = user
        return event
    }

    private func outbox(_ count: Int, limit: Int) -> LifecycleOutbox {
        var outbox = LifecycleOutbox()
        for number in 0..<count { outbox.append(Self.event("\(number + 1)"), limit: limit) }
        return outbox
    }

    @Test func eventsGoOutInTheirOrderAndNoneBeforeThoseBeforeItAreTaken() {
        var outbox = self.outbox(5, limit: 10)
        let first = outbox.batch(of: "s", limit: 2)
        #expect(first?.first == 1)
        #expect(first?.events.map(\.user) == ["1", "2"])
        #expect(outbox.batch(of: "s", limit: 2) == first)
        outbox.take(upTo: 2)
        #expect(outbox.batch(of: "s", limit: 9)?.events.map(\.user) == ["3", "4", "5"])
        outbox.take(upTo: 1)
        #expect(outbox.taken == 2)
        outbox.take(upTo: 5)
        #expect(outbox.batch(of: "s", limit: 2) == nil)
    }

    @Test func whatDoesNotFitGoesAndItsNumbersAreSaid() {
        var outbox = self.outbox(5, limit: 3)
        #expect(outbox.dropped == 2)
        let batch = outbox.batch(of: "s", limit: 2)
        #expect(batch?.missing == 1...2)
        #expect(batch?.first == 3)
        #expect(batch?.last == 4)
        outbox.take(upTo: 4)
        #expect(outbox.batch(of: "s", limit: 2)?.missing == nil)
    }

    @Test func aNumberThatIsTakenWhileItsEventIsDroppedIsNotMissing() {
        var outbox = self.outbox(3, limit: 3)
        outbox.append(Self.event("4"), limit: 3)
        outbox.take(upTo: 2)
        #expect(outbox.batch(of: "s", limit: 9)?.missing == nil)
        #expect(outbox.batch(of: "s", limit: 9)?.first == 3)
    }

    @Test func numbersThatNeverWereHarmNothing() {
        var outbox = self.outbox(2, limit: 3)
        outbox.take(upTo: .max)
        #expect(outbox.count == 0)
        outbox.append(Self.event("3"), limit: 3)
        #expect(outbox.batch(of: "s", limit: 1)?.first == 3)
    }

    @Test func theBodyIsWhatTheDocumentationSays() {
        var outbox = LifecycleOutbox()
        outbox.append(LifecycleEvent(kind: .connected, time: 1_000, node: "n", client: "c", transport: "sse"), limit: 2)
        var gone = LifecycleEvent(kind: .disconnected, time: 2_000, node: "n", client: "c", user: "4\"2")
        gone.code = 3001
        outbox.append(gone, limit: 2)
        outbox.append(LifecycleEvent(kind: .vacated, time: 3_000, channel: "chat:7"), limit: 2)
        let body = outbox.batch(of: "kPzq", limit: 9).map { String(buffer: $0.body) }
        #expect(
            body == """
                {"stream":"kPzq","missing":{"first":1,"last":1},"events":[\
                {"number":2,"time":2000,"event":"disconnected","client":"c","user":"4\\"2","code":3001,"node":"n"},\
                {"number":3,"time":3000,"event":"vacated","channel":"chat:7"}]}
                """)
        #expect(
            self.outbox(1, limit: 1).batch(of: "s", limit: 1).map { String(buffer: $0.body) }
                == #"{"stream":"s","events":[{"number":1,"time":1,"event":"online","user":"1"}]}"#)
    }

    @Test func theSignatureIsAnHMACOfTimeAndBody() {
        // printf '1767225600.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of some length'
        let value = LifecycleSignature.value(
            of: ByteBuffer(string: #"{"a":1}"#), key: SymmetricKey(data: Array("a secret of some length".utf8)),
            time: 1_767_225_600)
        #expect(value == "t=1767225600,v1=c08025f43e28eeedec9e6ef0c858cac186693835c4ece71c72aefdf2f1493e63")
    }
}

import ChannelLayer
import JSON
import NIOCore
import TestSupport
import Testing

@testable import Gateway

@Suite struct ReceiveRuleTests {
    func receiver(_ form: ReceiveRule.Form, requiredKey: String? = nil) throws -> Receiver {
        let rule = ReceiveRule.group(
            try Template("room-{room}", captures: ["room"]), form: form, requiredKey: requiredKey)
        return try rule.receiver(for: TemplateValues(captures: ["a"]))
    }

    func text(_ text: String) -> BrowserMessage { .text(ByteBuffer(string: text)) }
    let bytes = ByteBuffer(bytes: [0, 255])

    @Test func byDefaultEverythingIsDropped() throws {
        #expect(try ReceiveRule.drop.receiver(for: TemplateValues()).action(for: self.text("x")) == .drop(.notTaken))
    }

    @Test func anEchoIsOfTheKindThatCame() throws {
        let receiver = try ReceiveRule.echo.receiver(for: TemplateValues())
        #expect(!receiver.needsHandshake)
        #expect(receiver.action(for: self.text("no JSON {")) == .reply(.text(ByteBuffer(string: "no JSON {"))))
        #expect(receiver.action(for: .binary(self.bytes)) == .reply(.binary(self.bytes)))
    }

    @Test func aMessageGoesToTheGroupAsItCame() throws {
        let receiver = try self.receiver(.message(type: "chat.message", key: "text"))
        let group = try GroupName("room-a")
        #expect(
            receiver.action(for: self.text("no JSON {"))
                == .send(["type": "chat.message", "text": "no JSON {"], to: group))
        #expect(
            receiver.action(for: .binary(self.bytes))
                == .send(["type": "chat.message", "text": .bytes(self.bytes)], to: group))
    }

    @Test func withoutATypeItIsAPublication() throws {
        let receiver = try self.receiver(.publication)
        let group = try GroupName("room-a")
        let json = try JSONText(validating: ByteBuffer(string: #"{"a": 1}"#))
        #expect(
            receiver.action(for: self.text(#" {"a": 1} "#))
                == .send(["type": "carillon.publication", "data": .json(json)], to: group))
        #expect(receiver.action(for: self.text("{")) == .drop(.notJSON))
        #expect(receiver.action(for: self.text("")) == .drop(.notJSON))
        #expect(
            receiver.action(for: .binary(self.bytes))
                == .send(["type": "carillon.publication", "data": .bytes(self.bytes)], to: group))
    }

    @Test func aRequiredKeyMustBeInAnObject() throws {
        let receiver = try self.receiver(.message(type: "user.message", key: "data"), requiredKey: "message")
        let echoed = #"{"x": {"y": 1}, "message": null}"#
        #expect(
            receiver.action(for: self.text(echoed))
                == .send(["type": "user.message", "data": .string(echoed)], to: try GroupName("room-a")))
        for other in [#"{"x": {"message": 1}}"#, #"["message"]"#, #""message""#, "7"] {
            #expect(receiver.action(for: self.text(other)) == .drop(.missingKey), "\(other)")
        }
        #expect(receiver.action(for: self.text("message")) == .drop(.notJSON))
        #expect(receiver.action(for: .binary(ByteBuffer(string: echoed))) == .drop(.missingKey))
    }

    @Test func aGroupThatIsNoneRefusesTheConnection() throws {
        let rule = ReceiveRule.group(try Template("{user}", captures: []), form: .publication, requiredKey: nil)
        #expect(refusal { _ = try rule.receiver(for: TemplateValues()) }?.reason == .invalidGroup)
    }

    @Test func aWorkerIsAskedWithTheCredentialsOfTheHandshake() throws {
        let rule = ReceiveRule.worker(try Template("/rooms/{room}/say", captures: ["room"]))
        let receiver = try rule.receiver(for: TemplateValues(captures: ["a b"]))
        #expect(receiver.needsHandshake)
        #expect(receiver.action(for: self.text("x")) == .ask(target: "/rooms/a%20b/say"))
        let handshake = Handshake.with([
            ("Cookie", "sessionid=1"), ("Host", "example.org"), ("X-Forwarded-For", "6.6.6.6"),
        ])
        let types = [self.text("[1]"), self.text("hi"), .binary(self.bytes)].map {
            AskRequest($0, to: "/say", for: handshake).head.fields["Content-Type"]
        }
        #expect(types == ["application/json", "text/plain; charset=utf-8", "application/octet-stream"])
        let request = AskRequest(self.text("[1]"), to: "/say", for: handshake)
        #expect(
            request.head.method == "POST" && request.head.target == "/say" && request.body == ByteBuffer(string: "[1]"))
        #expect(request.head.fields["Cookie"] == "sessionid=1" && request.head.fields["Content-Length"] == "3")
        #expect(request.head.fields.values("X-Forwarded-For") == ["192.0.2.1"])
    }

    @Test func aRunworkerGetsTheEvent() throws {
        let channel = try ChannelName("chat.worker")
        #expect(
            try ReceiveRule.layer(channel).receiver(for: TemplateValues()).action(for: self.text("x"))
                == .hand(to: channel))
    }
}

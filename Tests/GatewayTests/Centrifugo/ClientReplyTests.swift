import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

/// Replies and pushes as JSON: each field of the protocol once, and nothing that is empty.
@Suite struct ClientReplyTests {
    private func json(_ text: String) -> ClientData { .json(JSONText(unchecked: ByteBuffer(string: text))) }

    private func text(_ result: ClientReply.Result) -> String {
        var frame = ByteBuffer()
        ClientCodec.json.write(ClientReply(7, result), to: &frame)
        let text = String(buffer: frame)
        #expect(text.hasPrefix(#"{"id":7,"#) && text.hasSuffix("}"))
        return String(text.dropFirst(8).dropLast())
    }

    private func text(_ push: ClientPush) -> String {
        var frame = ByteBuffer()
        ClientCodec.json.write(push, isBare: true, to: &frame)
        return String(buffer: frame)
    }

    @Test func emptyFieldsAreLeftOut() {
        #expect(self.text(.unsubscribe) == #""unsubscribe":{}"#)
        #expect(self.text(.publish) == #""publish":{}"#)
        #expect(self.text(.rpc(nil)) == #""rpc":{}"#)
        #expect(self.text(.subscribe(ClientSubscribed())) == #""subscribe":{}"#)
        #expect(self.text(.refreshSubscription(ttl: nil)) == #""sub_refresh":{}"#)
        #expect(self.text(.presence([:])) == #""presence":{"presence":{}}"#)
        #expect(self.text(.presenceStats(clients: 0, users: 0)) == #""presence_stats":{"num_clients":0,"num_users":0}"#)
        #expect(
            self.text(.history([], top: StreamPosition(offset: 0, epoch: "")))
                == #""history":{"publications":[],"epoch":"","offset":0}"#)
    }

    @Test func aConnectionIsToldEverything() {
        var connected = ClientConnected(client: "c-1", ttl: 60, ping: 25)
        connected.data = self.json(#"{"a":1}"#)
        var subscribed = ClientSubscribed()
        subscribed.isRecoverable = true
        subscribed.isPositioned = true
        subscribed.position = StreamPosition(offset: 17, epoch: "hXkq")
        connected.subscriptions = ["#42": subscribed]
        connected.session = "s"
        connected.node = "n"
        connected.time = 5
        #expect(
            self.text(.connect(connected))
                == ##""connect":{"client":"c-1","version":"carillon","expires":true,"ttl":60,"data":{"a":1},"##
                + ##""subs":{"#42":{"recoverable":true,"positioned":true,"epoch":"hXkq","offset":17}},"##
                + ##""ping":25,"pong":true,"session":"s","node":"n","time":5}"##)
    }

    @Test func aSubscriptionIsToldEverything() {
        var subscribed = ClientSubscribed()
        subscribed.ttl = 9
        subscribed.isRecovered = true
        subscribed.wasRecovering = true
        subscribed.isDelta = true
        subscribed.number = 3
        subscribed.data = self.json("[]")
        subscribed.publications = [
            ClientPublication(
                self.json("{\n}"), info: ClientInfo(user: "", client: "c"), offset: 4, tags: ["k\"": "v"]),
            ClientPublication(.bytes(ByteBuffer(bytes: [0xFF])), offset: 5),
        ]
        #expect(
            self.text(.subscribe(subscribed))
                == #""subscribe":{"expires":true,"ttl":9,"publications":["#
                + #"{"data":{ },"info":{"user":"","client":"c"},"offset":4,"tags":{"k\"":"v"}},"#
                + #"{"data":"/w==","offset":5}],"#
                + #""recovered":true,"was_recovering":true,"data":[],"delta":true,"id":3}"#)
    }

    @Test func pushesOfAllKinds() {
        let info = ClientInfo(user: "42", client: "c", connection: self.json("1"))
        for (push, text) in [
            (
                ClientPush("a", .leave(info)),
                #"{"channel":"a","leave":{"info":{"user":"42","client":"c","conn_info":1}}}"#
            ),
            (
                ClientPush("a", .unsubscribe(code: 2500, reason: "insufficient state")),
                #"{"channel":"a","unsubscribe":{"code":2500,"reason":"insufficient state"}}"#
            ),
            (ClientPush("a", .subscribe(ClientSubscribed())), #"{"channel":"a","subscribe":{}}"#),
            (ClientPush(.message(self.json("{}"))), #"{"message":{"data":{}}}"#),
            (ClientPush(.disconnect(.shutdown)), #"{"disconnect":{"code":3001,"reason":"shutdown"}}"#),
            (ClientPush(.refresh(ttl: 5)), #"{"refresh":{"expires":true,"ttl":5}}"#),
            (
                ClientPush(.connect(ClientConnected(client: "c"))), #"{"connect":{"client":"c","version":"carillon"}}"#
            ),
            (
                ClientPush("long", number: 2, .publication(ClientPublication(self.json("1")))),
                #"{"id":2,"pub":{"data":1}}"#
            ),
        ] { #expect(self.text(push) == text) }
    }

    @Test func severalAreOneLineEach() {
        var frame = ByteBuffer()
        for id in 1...2 { ClientCodec.json.write(ClientReply(UInt32(id), .publish), to: &frame) }
        #expect(String(buffer: frame) == "{\"id\":1,\"publish\":{}}\n{\"id\":2,\"publish\":{}}")
    }

    @Test func whoSomebodyIsComesThroughTheLayer() throws {
        let info = ClientInfo(user: "42", client: "c", connection: self.json(#"{"a":1}"#), channel: self.json("[2]"))
        #expect(ClientInfo(info.layerValue) == info)
        let text = try JSONText(
            validating: ByteBuffer(string: String(buffer: try #require(LayerJSON.text(of: info.layerValue)))))
        #expect(ClientInfo(.json(text)) == info)
        for broken: LayerValue in [.null, .int(1), .map([]), .json(JSONText(unchecked: ByteBuffer(string: "{}")))] {
            #expect(ClientInfo(broken) == nil)
        }
    }
}

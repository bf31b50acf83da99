import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

/// The machine, line by line: what a browser says, and what is done.
@Suite struct ClientProtocolTests {
    private typealias Line = ProtocolLine

    // MARK: Sequence

    @Test(arguments: [
        "{}", #"{"id":1,"subscribe":{"channel":"news"}}"#, #"{"id":1}"#, #"{"connect":{}}"#, #"{"send":{}}"#,
        #"{"id":1,"ping":{}}"#,
    ]) func whatComesBeforeConnectEndsTheConnection(text: String) throws {
        var line = Line()
        #expect(try line.say(text) == ["end 3501"])
        #expect(try line.say(#"{"id":1,"connect":{}}"#) == [])
    }

    @Test(arguments: [
        (#"{"id":2,"connect":{}}"#, "end 3501"), (#"{"id":2,"ping":{}}"#, "end 3501"), (#"{"id":2}"#, "end 3501"),
        (#"{"subscribe":{"channel":"news"}}"#, "end 3501"), ("{}", "end 3501"),
        (#"{"send":{"data":1}}"#, "end 3508"), (#"{"id":3,"send":{"data":1}}"#, "end 3508"),
        (#"{"id":2,"unsubscribe":{}}"#, "end 3501"), (#"{"id":2,"sub_refresh":{}}"#, "end 3501"),
        (#"{"id":2,"refresh":{}}"#, "end 3501"),
        (#"{"id":2,"subscribe":{"channel":"news","delta":"x"}}"#, "end 3501"),
    ]) func whatTheProtocolForbidsEndsTheConnection(text: String, close: String) throws {
        var line = try Line.connected()
        #expect(try line.say(text) == [close])
    }

    @Test func aPongAnswersOnePing() throws {
        var line = try Line.connected()
        line.machine.pinged()
        #expect(try line.say("{}") == [])
        #expect(try line.say("{}") == ["end 3501"])
    }

    /// Whoever hands commands in waits for the one before; a mistake there costs one connection, and no process.
    @Test func aCommandBesideAnotherEndsItsConnectionAlone() throws {
        var line = Line()
        _ = try line.say(#"{"id":1,"connect":{"token":"t"}}"#)
        #expect(line.machine.isBusy)
        #expect(try line.say(#"{"id":2,"presence":{"channel":"news"}}"#) == ["end 3004"])
        #expect(line.verified(ClientCredentials(user: "42")) == [])
    }

    // MARK: Connect

    @Test func aVisitorWithoutATokenIsAnonymousWhereThatIsAllowed() throws {
        var line = Line()
        #expect(
            try line.say(#"{"id":7,"connect":{"name":"js"}}"#) == [
                "connected ",
                #"{"id":7,"connect":{"client":"c-1","version":"carillon","ping":25,"pong":true}}"#,
            ])
        var closed = Line { $0.allowsAnonymous = false }
        #expect(try closed.say(#"{"id":7,"connect":{}}"#) == ["end 3501"])
    }

    @Test func aTokenIsWaitedForAndItsEndIsTold() throws {
        var line = Line()
        #expect(try line.say(#"{"id":1,"connect":{"token":"t"}}"#) == ["verify t"])
        #expect(line.machine.isBusy)
        #expect(
            line.verified(ClientCredentials(user: "42", expires: 160)) == [
                "connected 42",
                #"{"id":1,"connect":{"client":"c-1","version":"carillon","expires":true,"ttl":60,"ping":25,"pong":true}}"#,
            ])
        #expect(!line.machine.isBusy && line.machine.deadline == 185)
        #expect(line.done(line.machine.timePassed(now: 184)) == [])
        #expect(line.done(line.machine.timePassed(now: 185)) == ["end 3005"])
    }

    @Test func aTokenThatDoesNotCountIsToldByItsKind() throws {
        var line = Line()
        _ = try line.say(#"{"id":1,"connect":{"token":"t"}}"#)
        #expect(line.verified(.invalid) == ["end 3500"])

        var expired = Line()
        _ = try expired.say(#"{"id":1,"connect":{"token":"t"}}"#)
        #expect(
            expired.verified(.expired) == [
                #"{"id":1,"error":{"code":109,"message":"token expired"}}"#, "skip",
            ])
        #expect(try expired.say(#"{"id":2,"subscribe":{"channel":"news"}}"#) == ["end 3501"])

        var without = Line { $0.allowsTokens = false }
        #expect(try without.say(#"{"id":1,"connect":{"token":"t"}}"#) == ["end 3500"])
    }

    @Test func aRefreshProlongsTheSameUserOnly() throws {
        let credentials = ClientCredentials(user: "42", expires: 160)
        var line = try Line.connected(credentials)
        #expect(try line.say(#"{"id":5,"refresh":{"token":"n"}}"#) == ["verify n"])
        #expect(
            line.verified(ClientCredentials(user: "42", expires: 3_700)) == [
                #"{"id":5,"refresh":{"client":"c-1","version":"carillon","expires":true,"ttl":3600}}"#
            ])
        #expect(line.machine.deadline == 3_725)
        for (result, close) in [
            (Result<ClientCredentials, ClientCredentials.Fault>.failure(.invalid), "end 3500"),
            (.failure(.expired), "end 3005"), (.success(ClientCredentials(user: "43")), "end 3500"),
            (.success(ClientCredentials(user: "42", channels: ["news": SubscriptionGrant()])), "end 3010"),
        ] {
            var other = try Line.connected(credentials)
            _ = try other.say(#"{"id":5,"refresh":{"token":"n"}}"#)
            #expect(other.done(other.machine.verified(result, now: 100)) == [close])
        }
    }

    // MARK: Subscribe

    @Test func aSubscriptionBeginsWhenTheLayerIsReady() throws {
        var line = try Line.connected()
        #expect(try line.say(#"{"id":2,"subscribe":{"channel":"news","flag":1}}"#) == ["open news 0 nothing"])
        #expect(line.machine.isBusy)
        #expect(try line.opened() == [#"{"id":2,"subscribe":{}}"#])
        #expect(
            try line.say(#"{"id":3,"subscribe":{"channel":"news"}}"#) == [
                #"{"id":3,"error":{"code":105,"message":"already subscribed"}}"#
            ])
        #expect(
            try line.say(#"{"id":4,"unsubscribe":{"channel":"news"}}"#) == [
                "close news", #"{"id":4,"unsubscribe":{}}"#,
            ])
        #expect(try line.say(#"{"id":5,"unsubscribe":{"channel":"news"}}"#) == [#"{"id":5,"unsubscribe":{}}"#])
    }

    @Test func aLayerThatCannotFollowIsATemporaryError() throws {
        var line = try Line.connected()
        _ = try line.say(#"{"id":2,"subscribe":{"channel":"news"}}"#)
        #expect(
            try line.opened(.failure(LayerError(.unavailable, "away"))) == [
                #"{"id":2,"error":{"code":100,"message":"internal server error","temporary":true}}"#
            ])
        #expect(try line.subscribe("news") == [#"{"id":2,"subscribe":{}}"#])
    }

    @Test(arguments: [
        (#""channel":"""#, 102), (#""channel":"nowhere:1""#, 102), (#""channel":"a b""#, 107),
        (#""channel":"closed:1""#, 103), (#""channel":"$news""#, 103),
        (#""channel":"news","type":1"#, 103), (#""channel":"news","tf":{"key":"a","cmp":"ex"}"#, 107),
        (#""channel":"users:1""#, 103),
        (#""channel":"carillon.channel.closed_3A1""#, 107),
    ]) func aSubscriptionThatMayNotBeIsRefused(fields: String, code: Int) throws {
        var line = try Line.connected()
        let reply = try line.say(#"{"id":2,"subscribe":{\#(fields)}}"#)
        #expect(reply.count == 1 && reply[0].hasPrefix(#"{"id":2,"error":{"code":\#(code),"#), "\(reply)")
    }

    @Test func whoWantsWhatWasMissedLearnsThatNothingIsKept() throws {
        var line = try Line.connected()
        _ = try line.say(
            #"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":3,"epoch":"x","delta":"fossil"}}"#)
        #expect(try line.opened() == [#"{"id":2,"subscribe":{"was_recovering":true}}"#])
        _ = try line.say(#"{"id":2,"subscribe":{"channel":"other","recover":true,"flag":2}}"#)
        #expect(
            try line.opened() == [
                "close other", #"{"id":2,"error":{"code":112,"message":"unrecoverable position"}}"#,
            ])
    }

    @Test func aUserLimitedChannelIsForItsUsersAlone() throws {
        var line = try Line.connected(ClientCredentials(user: "12"))
        #expect(try line.subscribe("users:dialog#12,57") == [#"{"id":2,"subscribe":{}}"#])
        #expect(try line.subscribe("users:1") == [#"{"id":2,"subscribe":{}}"#])
        #expect(try line.subscribe("users:dialog#57")[0].contains("103"))
        #expect(try line.subscribe("users:a#12#57")[0].contains("103"))
        var nobody = try Line.connected()
        #expect(try nobody.subscribe("users:#")[0].contains("103"))
    }

    @Test func aConnectionHasSoManyChannelsAndNoMore() throws {
        var line = try Line.connected { $0.channelLimit = 2 }
        #expect(try line.subscribe("a") == [#"{"id":2,"subscribe":{}}"#])
        #expect(try line.subscribe("b") == [#"{"id":2,"subscribe":{}}"#])
        #expect(try line.subscribe("c") == [#"{"id":2,"error":{"code":106,"message":"limit exceeded"}}"#])
        _ = try line.say(#"{"id":4,"unsubscribe":{"channel":"a"}}"#)
        #expect(try line.subscribe("c") == [#"{"id":2,"subscribe":{}}"#])
    }

    // MARK: Publish and the rest

    @Test func aPublicationSaysWhoseItIs() throws {
        let info = ClientData.json(JSONText(unchecked: ByteBuffer(string: #"{"name":"Ann"}"#)))
        var line = try Line.connected(ClientCredentials(user: "42", info: info))
        #expect(
            try line.say(#"{"id":3,"publish":{"channel":"users:1","data":{"a": 1}}}"#) == [
                #"publish users:1 {"a": 1} 42 c-1 {"name":"Ann"}"#
            ])
        #expect(line.done(line.machine.published(nil)) == [#"{"id":3,"publish":{}}"#])
        _ = try line.say(#"{"id":4,"publish":{"channel":"users:1","data":0}}"#)
        #expect(line.done(line.machine.published(LayerError(.unavailable, "")))[0].contains(#""temporary":true"#))
    }

    @Test func aPublicationNeedsDataAndPermission() throws {
        var line = try Line.connected()
        #expect(try line.say(#"{"id":3,"publish":{"channel":"news"}}"#)[0].contains("107"))
        #expect(try line.say(#"{"id":3,"publish":{"channel":"news","data":1}}"#)[0].contains("103"))
        #expect(try line.say(#"{"id":3,"publish":{"channel":"users:1","data":1}}"#)[0].contains("103"))
        #expect(try line.say(#"{"id":3,"publish":{"channel":"","data":1}}"#)[0].contains("102"))
        _ = try line.subscribe("news")
        #expect(
            try line.say(#"{"id":3,"publish":{"channel":"news","data":1}}"#) == [
                "publish news 1  c-1"
            ])
    }

    @Test(arguments: [
        (#""presence":{"channel":"news"}"#, 108), (#""presence_stats":{"channel":"news"}"#, 108),
        (#""history":{"channel":"news","limit":1}"#, 108), (#""rpc":{"method":"m"}"#, 108),
        (#""history":{"channel":"nowhere:1"}"#, 102), (#""presence":{}"#, 102),
        (#""sub_refresh":{"channel":"news","token":"t"}"#, 103),
    ]) func whatIsNotThereYetIsSaid(method: String, code: Int) throws {
        var line = try Line.connected()
        #expect(try line.say(#"{"id":9,\#(method)}"#)[0].hasPrefix(#"{"id":9,"error":{"code":\#(code),"#))
    }
}

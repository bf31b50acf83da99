import ChannelLayer
import NIOCore
import Testing

@testable import Gateway

/// What the application decides.
@Suite struct ClientAskingTests {
    private typealias Line = ProtocolLine

    private static let failed = #"{"code":100,"message":"internal server error","temporary":true}"#

    /// Where the application is asked about everything, in channels without a namespace and in `users:`.
    private static func asking(_ change: (inout ClientProtocol.Rules) -> Void = { _ in }) -> Line {
        Line { rules in
            rules.asks = Set(ProxyEvent.allCases)
            rules.namespaces = rules.namespaces.changed {
                $0.asksToSubscribe = true
                $0.asksToPublish = true
                $0.asksToRefresh = true
            }
            change(&rules)
        }
    }

    /// Past `connect`, as who the application says.
    private static func connected(
        _ result: String = #"{"user":"42"}"#, _ change: (inout ClientProtocol.Rules) -> Void = { _ in }
    ) throws -> Line {
        var line = self.asking(change)
        _ = try line.say(#"{"id":1,"connect":{}}"#)
        _ = line.answered(.connect, #"{"result":\#(result)}"#)
        #expect(line.machine.isConnected)
        return line
    }

    // MARK: connect

    @Test func whoHasNoTokenIsWhomTheApplicationSays() throws {
        var line = Self.asking()
        #expect(
            try line.say(#"{"id":1,"connect":{"name":"js","data":{"theme":1}}}"#) == [#"ask connect js {"theme":1}"#])
        #expect(line.machine.isBusy)
        let answer = line.answered(
            .connect, #"{"result":{"user":"42","expire_at":160,"data":{"hello":1},"channels":["news"]}}"#)
        #expect(answer == ["connected 42", "open news 0 nothing"])
        #expect(
            try line.opened() == [
                #"{"id":1,"connect":{"client":"c-1","version":"carillon","data":{"hello":1},"subs":{"news":{}},"ping":25,"pong":true}}"#
            ])
        #expect(line.machine.deadline == 160, "it is asked again then, without a grace")
    }

    @Test func aTokenIsNotAskedAbout() throws {
        var line = Self.asking()
        #expect(try line.say(#"{"id":1,"connect":{"token":"t"}}"#) == ["verify t"])
    }

    @Test func whoIsNotLetInIsTold() throws {
        for (answer, done) in [
            (#"{"disconnect":{"code":4501,"reason":"login"}}"#, ["end 4501"]),
            (#"{"error":{"code":403,"message":"no"}}"#, [#"{"id":1,"error":{"code":403,"message":"no"}}"#, "skip"]),
            ("nonsense", [#"{"id":1,"error":\#(Self.failed)}"#, "skip"]),
            (#"{"result":{"subs":{"news":{"override":1}}}}"#, [#"{"id":1,"error":\#(Self.failed)}"#, "skip"]),
        ] {
            var line = Self.asking()
            _ = try line.say(#"{"id":1,"connect":{}}"#)
            #expect(line.answered(.connect, answer) == done, "\(answer)")
        }
    }

    @Test func anAnswerWithoutAResultIsForVisitorsWhereTheyMayComeIn() throws {
        for (mayComeIn, done) in [(true, "connected "), (false, "end 3501")] {
            var line = Self.asking { $0.allowsAnonymous = mayComeIn }
            _ = try line.say(#"{"id":1,"connect":{}}"#)
            #expect(line.answered(.connect, "{}").first == done)
        }
    }

    // MARK: subscribe, publish, rpc

    @Test func theApplicationSaysWhoMaySubscribe() throws {
        var line = try Self.connected()
        #expect(try line.say(#"{"id":2,"subscribe":{"channel":"news","data":7}}"#) == ["ask subscribe news 7"])
        #expect(
            line.answered(.subscribe, #"{"result":{"data":[1],"expire_at":160}}"#, in: "news") == [
                "open news 0 nothing"
            ])
        #expect(try line.opened() == [#"{"id":2,"subscribe":{"data":[1]}}"#])
        #expect(try line.say(#"{"id":3,"subscribe":{"channel":"other"}}"#) == ["ask subscribe other"])
        #expect(
            line.answered(.subscribe, #"{"error":{"code":403,"message":"no"}}"#, in: "other")
                == [#"{"id":3,"error":{"code":403,"message":"no"}}"#])
        _ = try line.say(#"{"id":4,"subscribe":{"channel":"other"}}"#)
        #expect(line.failed(.subscribe, .failed(.slow), in: "other") == [#"{"id":4,"error":\#(Self.failed)}"#])
        _ = try line.say(#"{"id":5,"subscribe":{"channel":"other"}}"#)
        #expect(line.answered(.subscribe, "{}", in: "other") == ["open other 0 nothing"], "silence is consent")
    }

    @Test func whatIsOthersBusinessIsNotAskedAbout() throws {
        var line = try Self.connected()
        for (channel, done) in [
            ("users:dialog#41,42", "open users:dialog#41,42 1 nothing"), ("$private", "103"), ("nowhere:1", "102"),
        ] {
            let actions = try line.say(#"{"id":2,"subscribe":{"channel":"\#(channel)"}}"#)
            #expect(actions.count == 1 && actions[0].contains(done), "\(channel)")
            if !line.openings.isEmpty { _ = try line.opened() }
        }
    }

    @Test func withoutAnAddressNothingIsAvailable() throws {
        var line = try Self.connected { $0.asks = [.connect] }
        let no = #""error":{"code":108,"message":"not available"}}"#
        #expect(try line.say(#"{"id":2,"subscribe":{"channel":"news"}}"#) == [#"{"id":2,"# + no])
        #expect(try line.say(#"{"id":3,"publish":{"channel":"news","data":1}}"#) == [#"{"id":3,"# + no])
        #expect(try line.say(#"{"id":4,"rpc":{"method":"m"}}"#) == [#"{"id":4,"# + no])
        #expect(!line.machine.isBusy)
    }

    @Test func aNamespaceMayNameWhereItsOwnQuestionsGo() throws {
        var line = try Self.connected {
            $0.asks = [.connect]
            $0.namespaces = $0.namespaces.changed {
                ($0.subscribeProxy, $0.publishProxy, $0.refreshProxy) = (.named("s"), .named("p"), .named("r"))
            }
        }
        #expect(try line.say(#"{"id":2,"subscribe":{"channel":"news"}}"#) == ["ask subscribe at s news"])
        #expect(line.answered(.subscribe, #"{"result":{"expire_at":160}}"#, in: "news") == ["open news 0 nothing"])
        #expect(try line.opened() == [#"{"id":2,"subscribe":{}}"#])
        #expect(try line.say(#"{"id":3,"publish":{"channel":"news","data":1}}"#) == ["ask publish at p news 1"])
        _ = line.answered(.publish, "{}", in: "news")
        #expect(line.done(line.machine.published(nil)) == [#"{"id":3,"publish":{}}"#])
        #expect(line.done(line.machine.timePassed(now: 160)) == ["ask sub_refresh at r news"])
        let next = ClientCommand.Subscribe(channel: "other")
        #expect(line.machine.foresees(ClientCommand(id: 4, .subscribe(next)))?.choice == .named("s"))
        #expect(try line.say(#"{"id":4,"rpc":{"method":"m"}}"#)[0].contains("108"), "which is nobody's channel")
    }

    @Test func theApplicationSaysWhatIsPublished() throws {
        var line = try Self.connected()
        #expect(try line.say(#"{"id":2,"publish":{"channel":"news","data":"a"}}"#) == [#"ask publish news "a""#])
        #expect(
            line.answered(.publish, #"{"result":{"data":"b","skip_history":true,"tags":{"x":"y"}}}"#, in: "news")
                == [#"publish news "b" 42 unkept tagged"#])
        #expect(line.done(line.machine.published(nil)) == [#"{"id":2,"publish":{}}"#])
        _ = try line.say(#"{"id":3,"publish":{"channel":"news","data":"a"}}"#)
        #expect(line.answered(.publish, "{}", in: "news") == [#"publish news "a" 42"#])
        #expect(line.done(line.machine.published(nil)) == [#"{"id":3,"publish":{}}"#])
        _ = try line.say(#"{"id":4,"publish":{"channel":"news","data":"a"}}"#)
        #expect(line.failed(.publish, .failed(.status), in: "news") == [#"{"id":4,"error":\#(Self.failed)}"#])
    }

    @Test func anRPCIsTheApplications() throws {
        var line = try Self.connected()
        #expect(try line.say(#"{"id":2,"rpc":{"method":"cart","data":[1]}}"#) == ["ask rpc cart [1]"])
        #expect(line.answered(.rpc, #"{"result":{"data":{"n":3}}}"#) == [#"{"id":2,"rpc":{"data":{"n":3}}}"#])
        _ = try line.say(#"{"id":3,"rpc":{"method":"cart"}}"#)
        #expect(line.answered(.rpc, #"{"disconnect":{"code":4000,"reason":"x"}}"#) == ["end 4000"])
    }

    // MARK: Longer lives

    @Test func whenItsTimeIsUpTheApplicationIsAsked() throws {
        var line = try Self.connected(#"{"user":"42","expire_at":160}"#)
        #expect(line.done(line.machine.timePassed(now: 160)) == ["ask refresh"])
        #expect(line.machine.deadline == nil && !line.machine.isBusy, "meanwhile commands go on")
        #expect(line.answered(.refresh, #"{"result":{"expire_at":300}}"#, now: 160) == [])
        #expect(line.machine.deadline == 300)
        #expect(line.done(line.machine.timePassed(now: 300)) == ["ask refresh"])
        #expect(line.failed(.refresh, .failed(.unreachable), now: 300) == [])
        #expect(line.machine.deadline == 360, "a minute later it is asked again")
        #expect(line.done(line.machine.timePassed(now: 360)) == ["ask refresh"])
        #expect(line.answered(.refresh, #"{"result":{"expired":true}}"#, now: 360) == ["end 3005"])
        for answer in ["{}", #"{"result":{"expire_at":1}}"#, #"{"disconnect":{"code":3005}}"#] {
            var other = try Self.connected(#"{"user":"42","expire_at":160}"#)
            _ = other.machine.timePassed(now: 160)
            #expect(other.answered(.refresh, answer, now: 160) == ["end 3005"])
        }
    }

    @Test func aSubscriptionsTimeIsUpAlike() throws {
        var line = try Self.connected()
        _ = try line.say(#"{"id":2,"subscribe":{"channel":"news"}}"#)
        _ = line.answered(.subscribe, #"{"result":{"expire_at":160}}"#, in: "news")
        _ = try line.opened()
        #expect(line.machine.deadline == 160)
        #expect(line.done(line.machine.timePassed(now: 160)) == ["ask sub_refresh news"])
        #expect(line.answered(.subscriptionRefresh, #"{"result":{"expire_at":200}}"#, in: "news", now: 160) == [])
        #expect(line.machine.deadline == 200)
        _ = line.machine.timePassed(now: 200)
        let gone = line.answered(.subscriptionRefresh, "{}", in: "news", now: 200)
        #expect(gone.first == "close news" && gone.contains { $0.contains("2501") })
        #expect(line.answered(.subscriptionRefresh, "{}", in: "news", now: 200) == [], "nobody waits for it")
    }

    @Test func anAnswerThatNobodyWaitsForChangesNothing() throws {
        for event in ProxyEvent.allCases {
            var line = try Self.connected()
            #expect(line.answered(event, #"{"result":{}}"#, in: "news") == [])
            _ = line.machine.ended()
            #expect(line.answered(event, #"{"result":{"user":"1"}}"#, in: "news") == [])
        }
    }

    // MARK: Before its turn

    @Test func whatACommandWillAskIsKnownBefore() throws {
        let line = try Self.connected()
        func foreseen(_ command: String) throws -> String? {
            line.machine.foresees(try ClientCommand(decoding: ByteBuffer(string: command)))?.details.channel
        }
        #expect(try foreseen(#"{"id":2,"subscribe":{"channel":"news","data":7}}"#) == "news")
        for command in [
            #"{"id":2,"subscribe":{"channel":"$private"}}"#, #"{"id":2,"subscribe":{"channel":"a","token":"t"}}"#,
            #"{"id":2,"subscribe":{"channel":"nowhere:1"}}"#, #"{"id":2,"publish":{"channel":"a","data":1}}"#,
            #"{"id":2,"subscribe":{"channel":"users:a#42"}}"#, "{}",
        ] { #expect(try foreseen(command) == nil, "\(command)") }
        #expect(
            Self.asking().machine.foresees(
                try ClientCommand(decoding: ByteBuffer(string: #"{"id":2,"subscribe":{"channel":"news"}}"#))) == nil,
            "nobody is there yet")
    }
}

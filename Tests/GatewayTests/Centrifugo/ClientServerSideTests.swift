import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

/// Channels that a connection has without asking, what it asks of them, and their ends.
@Suite struct ClientServerSideTests {
    private typealias Line = ProtocolLine

    private func connecting(
        _ credentials: ClientCredentials, subs: String = "{}", _ change: (inout ClientProtocol.Rules) -> Void = { _ in }
    ) throws -> (Line, [String]) {
        var line = Line(change)
        _ = try line.say(#"{"id":1,"connect":{"token":"t","subs":\#(subs)}}"#)
        let done = line.verified(credentials)
        return (line, done)
    }

    @Test func aTokensChannelsComeWithTheConnection() throws {
        let credentials = ClientCredentials(
            user: "42", channels: ["news": SubscriptionGrant(), "kept:1": SubscriptionGrant(data: .said("7"))])
        let (begun, done) = try self.connecting(
            credentials, subs: #"{"kept:1":{"recover":true,"offset":3,"epoch":"e"},"other":{"recover":true}}"#)
        var line = begun
        #expect(done == ["connected 42", "open kept:1 3 since 3 e", "open news 0 nothing"])
        #expect(line.machine.isBusy)
        #expect(try line.opened(.success(Line.page(4...4, top: 4))) == [])
        #expect(
            try line.opened() == [
                #"{"id":1,"connect":{"client":"c-1","version":"carillon","subs":{"#
                    + #""kept:1":{"recoverable":true,"positioned":true,"epoch":"e","offset":3,"#
                    + #""publications":[{"data":4,"offset":4}],"recovered":true,"was_recovering":true,"data":7},"news":{}},"#
                    + #""ping":25,"pong":true}}"#, "join kept:1 42",
            ])
        #expect(!line.machine.isBusy)
    }

    @Test func oneThatCannotBeOpenedFailsAll() throws {
        var line = try self.connecting(
            ClientCredentials(channels: ["kept:1": SubscriptionGrant(), "news": SubscriptionGrant()])
        ).0
        #expect(try line.opened(.success(Line.page(nil, top: 0))) == [])
        #expect(
            try line.opened(.failure(LayerError(.unavailable, ""))) == [
                "close kept:1", "gone kept:1",
                #"{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}"#, "skip",
            ])
        #expect(try line.say(#"{"id":2,"publish":{"channel":"news","data":1}}"#) == ["end 3501"])
    }

    @Test func unknownNamespacesTooManyChannelsAndOldCredentialsAreRefused() throws {
        let unknown = ClientCredentials(channels: ["nowhere:1": SubscriptionGrant()])
        #expect(
            try self.connecting(unknown).1 == [#"{"id":1,"error":{"code":102,"message":"unknown channel"}}"#, "skip"])
        let many = ClientCredentials(channels: ["a": SubscriptionGrant(), "b": SubscriptionGrant()])
        #expect(try self.connecting(many) { $0.channelLimit = 1 }.1 == ["end 3505"])
        let old = ClientCredentials(expires: 10)
        #expect(try self.connecting(old).1 == [#"{"id":1,"error":{"code":110,"message":"expired"}}"#, "skip"])
        #expect(try self.connecting(ClientCredentials()) { $0.refusesAnonymousTokens = true }.1 == ["end 3507"])
    }

    @Test func everyUserHasAChannelWhereThatIsSaid() throws {
        let personal: (inout ClientProtocol.Rules) -> Void = { $0.personal = PersonalChannels(isSingle: true) }
        let (begun, done) = try self.connecting(ClientCredentials(user: "42"), personal)
        var line = begun
        #expect(done == ["connected 42", "replace #42", "open #42 0 nothing"])
        #expect(try line.opened()[0].contains(##""subs":{"#42":{}}"##))
        #expect(line.done(line.machine.replaced(by: "c-1")) == [])
        #expect(line.done(line.machine.replaced(by: "c-2")) == ["end 3504"])
        var visitor = Line(personal)
        #expect(try visitor.say(#"{"id":1,"connect":{}}"#).count == 2)
    }

    @Test func aOneWayConnectionGetsTheChannelsItNamesAndMayHave() throws {
        func connect(_ channels: String) throws -> [String] {
            var line = Line(isUnidirectional: true)
            let subs = channels.split(separator: " ").map { "\"\($0)\":{}" }.joined(separator: ",")
            return try line.say(#"{"id":1,"connect":{"subs":{\#(subs)}}}"#)
        }
        #expect(try connect("news closed:1 users:1 $news") == ["connected ", "open news 0 nothing"])
        #expect(try connect("nowhere:1") == ["end 3501"])
        var both = Line()
        #expect(try both.say(#"{"id":1,"connect":{"subs":{"news":{}}}}"#).count == 2)
    }

    // MARK: Subscription tokens

    private func claims(
        _ channel: String = "$closed:1", user: String = "42", client: String? = nil,
        grant: SubscriptionGrant = .init()
    ) -> SubscriptionClaims {
        SubscriptionClaims(user: user, channel: channel, client: client, grant: grant)
    }

    private func asked(_ channel: String = "$closed:1") throws -> Line {
        var line = try Line.connected(ClientCredentials(user: "42"))
        #expect(
            try line.say(#"{"id":2,"subscribe":{"channel":"\#(channel)","token":"s"}}"#) == ["verify subscription s"])
        return line
    }

    @Test func aTokenOpensAPrivateChannelWithItsOptions() throws {
        var line = try self.asked("$kept:1")
        let grant = SubscriptionGrant(
            info: .said("1"), data: .said("2"), expires: 160,
            overrides: ChannelOverrides(presence: false, joinLeave: false, forceRecovery: false))
        #expect(
            line.done(line.machine.subscriptionVerified(.success(self.claims("$kept:1", grant: grant)), now: 100))
                == ["open $kept:1 3 nothing"])
        #expect(line.openings[0].presence == nil)
        #expect(try line.opened() == [#"{"id":2,"subscribe":{"expires":true,"ttl":60,"data":2}}"#])
        #expect(line.machine.info(in: "$kept:1").channel == .said("1"))
        #expect(line.machine.deadline == 185)
    }

    @Test func aTokenThatIsNotForItIsTold() throws {
        let cases: [(Result<SubscriptionClaims, ClientCredentials.Fault>, String)] = [
            (.success(self.claims("$closed:2")), "end 3500"), (.success(self.claims(user: "43")), "end 3500"),
            (.success(self.claims(client: "c-2")), "end 3500"), (.failure(.invalid), "103"),
            (.failure(.expired), "109"),
            (.failure(.unavailable), "100"), (.success(self.claims(grant: SubscriptionGrant(expires: 100))), "110"),
        ]
        for (result, said) in cases {
            var line = try self.asked()
            let done = line.done(line.machine.subscriptionVerified(result, now: 100))
            #expect(done.count == 1 && done[0].contains(said), "\(said): \(done)")
        }
        var fit = try self.asked()
        #expect(
            fit.done(fit.machine.subscriptionVerified(.success(self.claims(client: "c-1")), now: 100))
                == ["open $closed:1 2 nothing"])
    }

    @Test func aSubscriptionIsProlongedOrEndsAfterItsGrace() throws {
        var line = try self.asked()
        _ = line.done(
            line.machine.subscriptionVerified(.success(self.claims(grant: SubscriptionGrant(expires: 160))), now: 100))
        _ = try line.opened()
        let refresh = #"{"id":3,"sub_refresh":{"channel":"$closed:1","token":"s"}}"#
        #expect(try line.say(refresh) == ["verify subscription s"])
        #expect(
            line.done(
                line.machine.subscriptionVerified(
                    .success(self.claims(grant: SubscriptionGrant(expires: 200))), now: 150))
                == [#"{"id":3,"sub_refresh":{"expires":true,"ttl":50}}"#])
        #expect(line.done(line.machine.timePassed(now: 224)) == [])
        #expect(
            line.done(line.machine.timePassed(now: 225)) == [
                "close $closed:1",
                #"push {"channel":"$closed:1","unsubscribe":{"code":2501,"reason":"subscription expired"}}"#,
            ])
        #expect(line.machine.deadline == nil)
        #expect(try line.say(refresh)[0].contains("103"))
        #expect(try line.say(#"{"id":3,"sub_refresh":{"channel":""}}"#) == ["end 3501"])
    }

    @Test func anExpiredTokenForRefreshIs110() throws {
        var line = try Line.connected()
        _ = try line.subscribe("news")
        #expect(try line.say(#"{"id":3,"sub_refresh":{"channel":"news"}}"#)[0].contains("107"))
        _ = try line.say(#"{"id":3,"sub_refresh":{"channel":"news","token":"s"}}"#)
        #expect(line.done(line.machine.subscriptionVerified(.failure(.expired), now: 0))[0].contains("110"))
        _ = try line.say(#"{"id":3,"sub_refresh":{"channel":"news","token":"s"}}"#)
        #expect(line.done(line.machine.subscriptionVerified(.failure(.invalid), now: 0)) == ["end 3500"])
    }

    // MARK: The server's commands

    @Test func theServerSubscribesAndUnsubscribes() throws {
        var line = try Line.connected(ClientCredentials(user: "42"))
        #expect(
            line.done(line.machine.subscribe(to: "kept:1", SubscriptionGrant(), now: 100)) == ["open kept:1 3 position"]
        )
        #expect(
            try line.opened(.success(Line.page(nil, top: 7))) == [
                #"push {"channel":"kept:1","subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":7}}"#,
                "join kept:1 42",
            ])
        #expect(line.done(line.machine.subscribe(to: "kept:1", SubscriptionGrant(), now: 100)) == [])
        #expect(line.done(line.machine.subscribe(to: "nowhere:1", SubscriptionGrant(), now: 100)) == [])
        _ = try line.subscribe("news")
        #expect(
            line.done(line.machine.unsubscribe(from: nil)) == [
                "close kept:1", "gone kept:1", "leave kept:1 42",
                #"push {"channel":"kept:1","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}"#, "close news",
                #"push {"channel":"news","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}"#,
            ])
    }

    @Test func theServerProlongsAndEnds() throws {
        var line = try Line.connected(ClientCredentials(user: "42"))
        #expect(
            line.done(line.machine.prolong(expires: 160, info: nil, now: 100))
                == [#"push {"refresh":{"expires":true,"ttl":60}}"#])
        #expect(line.machine.deadline == 185)
        #expect(line.done(line.machine.prolong(expires: 90, info: nil, now: 100)) == ["end 3005"])
        var full = try Line.connected { $0.channelLimit = 1 }
        _ = try full.subscribe("news")
        #expect(full.done(full.machine.subscribe(to: "other", SubscriptionGrant(), now: 0)) == ["end 3505"])
    }

    // MARK: Who is there, and what was said

    @Test func comingAndGoingIsToldToOthers() throws {
        var line = try Line.connected(ClientCredentials(user: "42"))
        #expect(try line.say(#"{"id":2,"subscribe":{"channel":"kept:1"}}"#) == ["open kept:1 3 position"])
        #expect(line.openings[0].presence == ClientInfo(user: "42", client: "c-1"))
        #expect(try line.opened(.success(Line.page(nil, top: 0))).last == "join kept:1 42")
        #expect(
            try line.say(#"{"id":3,"unsubscribe":{"channel":"kept:1"}}"#) == [
                "close kept:1", "gone kept:1", "leave kept:1 42", #"{"id":3,"unsubscribe":{}}"#,
            ])
        _ = try line.subscribe("kept:1", Line.page(nil, top: 0))
        #expect(line.done(line.machine.ended()) == ["gone kept:1", "leave kept:1 42"])
    }

    @Test func presenceIsAnswered() throws {
        var line = try Line.connected(ClientCredentials(user: "42"))
        #expect(try line.say(#"{"id":3,"presence":{"channel":"kept:1"}}"#)[0].contains("103"))
        _ = try line.subscribe("kept:1", Line.page(nil, top: 0))
        #expect(try line.say(#"{"id":3,"presence":{"channel":"kept:1"}}"#) == ["presence kept:1"])
        let info = ByteBuffer(string: #"{"user":"42","client":"c-1","conn_info":{"a":1}}"#)
        #expect(
            line.done(line.machine.presenceRead(.success([Presence(client: "c-1", user: "42", info: info)]))) == [
                #"{"id":3,"presence":{"presence":{"c-1":{"user":"42","client":"c-1","conn_info":{"a":1}}}}}"#
            ])
        #expect(try line.say(#"{"id":4,"presence_stats":{"channel":"kept:1"}}"#) == ["stats kept:1"])
        #expect(
            line.done(line.machine.statsRead(.success(PresenceStats(clients: 3, users: 2)))) == [
                #"{"id":4,"presence_stats":{"num_clients":3,"num_users":2}}"#
            ])
        #expect(try line.say(#"{"id":4,"presence_stats":{"channel":"kept:1"}}"#) == ["stats kept:1"])
        #expect(line.done(line.machine.statsRead(.failure(LayerError(.unavailable, ""))))[0].contains("100"))
    }

    @Test func historyIsAnsweredWithinItsLimit() throws {
        var line = try Line.connected()
        _ = try line.subscribe("kept:1", Line.page(nil, top: 0))
        for (fields, asked) in [
            (#""limit":0"#, "history kept:1 0"), (#""limit":-1"#, "history kept:1 300"),
            (#""limit":5000"#, "history kept:1 300"),
            (#""limit":2,"reverse":true,"since":{"offset":3,"epoch":""}"#, "history kept:1 2 reverse"),
        ] {
            #expect(try line.say(#"{"id":3,"history":{"channel":"kept:1",\#(fields)}}"#) == [asked])
            #expect(
                line.done(line.machine.historyRead(.success(Line.page(1...1, top: 2)))) == [
                    #"{"id":3,"history":{"publications":[{"data":1,"offset":1}],"epoch":"e","offset":2}}"#
                ])
        }
        let bad = #"{"id":3,"history":{"channel":"kept:1","limit":2,"reverse":true,"since":{"offset":0}}}"#
        #expect(try line.say(bad)[0].contains("107"))
        _ = try line.say(#"{"id":3,"history":{"channel":"kept:1","limit":2,"since":{"offset":1,"epoch":"f"}}}"#)
        #expect(line.done(line.machine.historyRead(.success(Line.page(nil, top: 2))))[0].contains("112"))
    }

    @Test(arguments: [
        (Gateway.ChannelOptions.PublicationFormat.any, #""data":1"#, true), (.any, "", false),
        (.json, #""data":1"#, true),
        (.json, "", false), (.jsonObject, #""data":{}"#, true), (.jsonObject, #""data":[]"#, false),
        (.binary, "", true),
    ]) func dataIsHeldToItsFormat(
        format: Gateway.ChannelOptions.PublicationFormat, data: String, isRight: Bool
    ) throws {
        var line = try Line.connected { rules in
            rules.isInsecure = true
            rules.namespaces = rules.namespaces.changed { $0.publicationFormat = format }
        }
        let comma = data.isEmpty ? "" : ","
        let done = try line.say(#"{"id":3,"publish":{"channel":"news"\#(comma)\#(data)}}"#)
        #expect(done[0].hasPrefix("publish") == isRight, "\(done)")
    }
}

extension ClientData {
    fileprivate static func said(_ text: String) -> ClientData { .json(.init(unchecked: ByteBuffer(string: text))) }
}

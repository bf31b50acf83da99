import Testing

@testable import Gateway

@Suite struct PathPatternTests {
    @Test func capturesAreNamedInOrder() throws {
        #expect(try PathPattern("/channels/rooms/{room}/{kind}").captureNames == ["room", "kind"])
        #expect(try PathPattern("/channels/updates/").captureNames == [])
    }

    @Test(arguments: [
        ("channels/", "begins with a slash"), ("", "begins with a slash"), ("/a?b", "query.NAME"),
        ("/a b", "white space"),
        ("/a/{}", "no capture"), ("/a/x{b}", "no capture"), ("/a/{b", "no capture"), ("/a/b}", "no capture"),
        ("/a/{b-c}", "no capture"), ("/{a}/{a}", "captured twice"), ("/{user}", "meaning of its own"),
        ("/%zz", "percent"),
        ("/%ff", "percent"), (String(repeating: "/a", count: 33), "too many"),
    ])
    func whatIsNoPatternIsRefusedWithTheReason(_ text: String, _ words: String) {
        let error = #expect(throws: RouteError.self) { try PathPattern(text) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
}

@Suite struct RouteTableTests {
    func table(_ patterns: String..., prefix: String = "") throws -> RouteTable {
        try RouteTable(patterns.map { try PathPattern($0) }, prefix: prefix)
    }

    @Test func aLiteralPathMatchesItselfOnly() throws {
        let table = try self.table("/channels/updates/")
        #expect(table.match("/channels/updates/")?.route == 0)
        #expect(table.match("/channels/upd%61tes/")?.route == 0)
        for other in [
            "/channels/updates", "/channels/updates//", "/channels/", "/", "", "channels/updates/",
            "/CHANNELS/updates/",
        ] {
            #expect(table.match(other) == nil, "\(other)")
        }
    }

    @Test func aCaptureTakesOneDecodedSegment() throws {
        let table = try self.table("/channels/rooms/{room}/{kind}")
        #expect(table.match("/channels/rooms/lobby/chat")?.captures == ["lobby", "chat"])
        #expect(table.match("/channels/rooms/caf%C3%A9/a%2Fb")?.captures == ["café", "a/b"])
        #expect(table.match("/channels/rooms//chat") == nil)
        #expect(table.match("/channels/rooms/a/b/c") == nil)
        #expect(table.match("/channels/rooms/a/%ff") == nil)
        #expect(table.match("/channels/rooms/a/%00") == nil)
        #expect(table.match("/channels/rooms/a/%4") == nil)
    }

    @Test func aLiteralWinsOverACapture() throws {
        let table = try self.table("/{a}/x", "/lobby/{b}", "/lobby/x", "/{c}/{d}")
        #expect(table.match("/lobby/x")?.route == 2)
        #expect(table.match("/lobby/y") == RouteTable.Match(route: 1, captures: ["y"]))
        #expect(table.match("/hall/x") == RouteTable.Match(route: 0, captures: ["hall"]))
        #expect(table.match("/hall/y") == RouteTable.Match(route: 3, captures: ["hall", "y"]))
    }

    @Test func aDeadEndBehindALiteralIsLeftAgain() throws {
        let table = try self.table("/lobby/{b}/end", "/{a}/x/other")
        #expect(table.match("/lobby/x/other") == RouteTable.Match(route: 1, captures: ["lobby"]))
    }

    @Test func theFirstOfTwoAlikeWins() throws {
        #expect(try self.table("/{a}", "/{b}").match("/x")?.route == 0)
    }

    @Test(arguments: ["/site", "/site/"])
    func aSubdirectoryComesBeforeEveryPath(_ prefix: String) throws {
        let table = try self.table("/channels/updates/", prefix: prefix)
        #expect(table.match("/site/channels/updates/")?.route == 0)
        #expect(table.match("/channels/updates/") == nil)
        #expect(throws: RouteError.self) { try self.table("/a", prefix: "/{x}") }
        #expect(try self.table("/a", prefix: "/").match("/a")?.route == 0)
    }

    @Test func aPathOfManySegmentsCostsLittleAndHasNoRoute() throws {
        let table = try self.table("/{a}/{b}")
        #expect(table.match(String(repeating: "/", count: 100_000)) == nil)
    }
}

@Suite struct TemplateTests {
    let connection = TemplateValues(
        captures: ["lobby", "a/b"], query: { ["x": "1", "empty": "", "bad": "å b"][$0] },
        identity: Identity(user: "7", claims: ["team": "red"]))

    func group(_ text: String, _ connection: TemplateValues? = nil) throws -> String {
        try Template(text, captures: ["room", "kind"]).group(for: connection ?? self.connection).text
    }

    @Test func variablesAreFilledIn() throws {
        #expect(try self.group("updates-{user}") == "updates-7")
        #expect(try self.group("{room}.{query.x}.{claims.team}") == "lobby.1.red")
        #expect(try self.group("fixed") == "fixed")
    }

    @Test func anUnknownVariableIsNamedWithTheKnownOnes() {
        let error = #expect(throws: RouteError.self) { try Template("x-{rom}", captures: ["room"]) }
        #expect(error?.message == "{rom} is unknown here, wanted one of {room} {user} {query.NAME} {claims.NAME}")
    }

    @Test(arguments: ["a{", "a}", "{a{user}", "{}", "{query.}", "{claims.}", "}{user}"])
    func braceMistakesAreErrors(_ text: String) {
        #expect(throws: RouteError.self) { try Template(text, captures: []) }
    }

    @Test(arguments: ["a-{query.missing}", "a-{query.empty}", "a-{claims.missing}"])
    func aMissingValueRefusesTheConnection(_ text: String) {
        let refusal = #expect(throws: Refusal.self) { try self.group(text) }
        #expect(refusal?.reason == .invalidGroup && refusal?.status == 403)
    }

    @Test func aTextThatIsNoGroupNameRefusesTheConnection() {
        for text in ["a-{kind}", "a-{query.bad}", "a b"] {
            #expect(throws: Refusal.self, "\(text)") { try self.group(text) }
        }
    }

    @Test func anonymousVisitorsAreRefusedUnlessTheyHaveAName() throws {
        var visitor = TemplateValues()
        #expect(throws: Refusal.self) { try self.group("updates-{user}", visitor) }
        visitor.anonymousUser = "None"
        #expect(try self.group("updates-{user}", visitor) == "updates-None")
    }

    @Test func valuesInPathsAreEscaped() throws {
        let template = try Template("/rooms/{room}/{kind}/say?of={query.bad}", captures: ["room", "kind"])
        #expect(try template.path(for: self.connection) == "/rooms/lobby/a%2Fb/say?of=%C3%A5%20b")
    }
}

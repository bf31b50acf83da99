import HTTP1
import NIOCore
import Testing

@Suite struct HeaderFieldsTests {
    let fields = HeaderFields([
        ("Host", "a"), ("Accept", "text/html, text/event-stream;q=0.9"), ("X-Thing", "one"), ("x-thing", "two"),
        ("Connection", "keep-alive, Upgrade"),
    ])

    @Test func namesAreFoundInWhateverCase() {
        #expect(self.fields["HOST"] == "a")
        #expect(self.fields["x-THING"] == "one")
        #expect(self.fields.values("X-Thing") == ["one", "two"])
        #expect(self.fields.contains("accept"))
        #expect(!self.fields.contains("Cookie") && self.fields["Cookie"] == nil && self.fields.values("Y").isEmpty)
    }

    @Test func namesStayAsTheyWereSpelled() {
        #expect(self.fields.map(\.name) == ["Host", "Accept", "X-Thing", "x-thing", "Connection"])
    }

    @Test func setReplacesAllOfAName() {
        var fields = self.fields
        fields.set("x-Thing", "three")
        #expect(fields.values("x-thing") == ["three"] && fields.count == 4)
        fields.set("Host", "b")
        #expect(fields.values("host") == ["b"])
        fields.set("Upgrade", "websocket")
        #expect(fields["upgrade"] == "websocket")
    }

    @Test func removedFieldsAreGone() throws {
        var fields = self.fields
        fields.removeAll("X-THING")
        fields.removeAll("host")
        fields.removeAll("never-there")
        #expect(fields.map(\.name) == ["Accept", "Connection"])
        #expect(!fields.contains("host") && fields["Host"] == nil)
        var written = ByteBuffer()
        written.writeFields(fields)
        #expect(!String(buffer: written).lowercased().contains("thing"))
    }

    /// A removed length that was there twice must not count as twice when one is set.
    @Test func whatWasRepeatedIsOneAfterSet() throws {
        var head = RequestHead(method: "POST", target: "/")
        head.fields.append("Content-Length", "1")
        head.fields.append("Content-Length", "2")
        #expect(throws: HTTP1Error.self) { try head.framing() }
        head.fields.set("Content-Length", "3")
        #expect(try head.framing() == .length(3))
    }

    @Test func changingACopyLeavesTheOriginal() {
        var copy = self.fields
        copy.append("Y", "z")
        #expect(self.fields.count == 5 && copy.count == 6 && copy["y"] == "z" && copy["host"] == "a")
    }

    @Test func parsedFieldsCanBeChanged() throws {
        var buffer = ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\nrest")
        var parser = RequestHeadParser()
        var head = try #require(try parser.parse(&buffer))
        head.fields.append("Y", "c")
        head.fields.removeAll("X")
        #expect(head.fields.map { "\($0)=\($1)" } == ["Host=a", "Y=c"])
        #expect(String(buffer: buffer) == "rest")
    }

    @Test(arguments: [
        ("a\r\nX: b", "a  X: b"), ("a\nb", "a b"), ("a\0b", "a b"), ("\r\n", ""), (" a\t", "a"), ("a\u{7F}b", "a b"),
        ("grün", "grün"), ("", ""), ("a\tb", "a\tb"), ("a\r\n", "a"),
    ])
    func noValueBreaksOutOfItsLine(_ value: String, _ written: String) {
        let fields = HeaderFields([("X", value)])
        var buffer = ByteBuffer()
        buffer.writeFields(fields)
        #expect(buffer.readableBytesView.filter { $0 == 0x0A || $0 == 0x0D || $0 == 0 } == [0x0D, 0x0A])
        #expect(fields["x"]?.trimmingWhiteSpace == written.trimmingWhiteSpace)
    }

    @Test(arguments: ["", "a b", "a:", "a\r\n", "ä", "a\0", "(", String(repeating: "a", count: 300)])
    func aNameThatIsNoTokenIsNotAdded(_ name: String) {
        #expect(HeaderFields([(name, "b")]).count == 0)
        #expect(!HeaderFields.isValidName(name))
        var fields = HeaderFields()
        #expect(throws: HTTP1Error.self) { try fields.append(checking: name, "b") }
    }

    @Test func strangersValuesAreChecked() throws {
        var fields = HeaderFields()
        #expect(throws: HTTP1Error.self) { try fields.append(checking: "X", "a\r\nY: b") }
        #expect(!HeaderFields.isValidValue("a\n") && HeaderFields.isValidValue("a\tb ü"))
        try fields.append(checking: "X", "a")
        #expect(fields["x"] == "a")
    }

    @Test func tokensStandInLists() {
        #expect(self.fields.hasToken("upgrade", in: "connection"))
        #expect(self.fields.hasToken("Keep-Alive", in: "Connection"))
        #expect(!self.fields.hasToken("keep", in: "Connection"))
        #expect(!self.fields.hasToken("", in: "Connection"))
        let odd = HeaderFields([("X", ",, a ,\tb,"), ("X", "c")])
        for token in ["a", "B", "c"] { #expect(odd.hasToken(token, in: "x")) }
        #expect(!odd.hasToken("d", in: "x") && !odd.hasToken("", in: "x"))
        #expect(odd.elements("x") == ["a", "b", "c"])
        #expect(odd.elements("x", limit: 2) == ["a", "b"])
    }

    /// Otherwise somebody could hide what a proxy appends to a list.
    @Test func anOpenQuoteHidesNothing() {
        #expect(HeaderFields([("X", "\"a, b"), ("X", "c")]).elements("x") == ["\"a", "b", "c"])
        #expect(HeaderFields([("X", "\"a, b\", c")]).elements("x") == ["\"a, b\"", "c"])
    }

    @Test(arguments: [
        ("text/event-stream", true), ("TEXT/Event-Stream", true), ("text/html, text/event-stream", true),
        ("text/event-stream;q=0.5", true), ("text/event-stream ; charset=utf-8", true), ("*/*", false),
        ("text/*", false), ("text/event-streams", false), ("text/event-stream;q=0", false),
        ("text/event-stream; q=0.000", false), ("", false), ("a, ,;,", false),
    ])
    func aMediaTypeIsAcceptedByItsName(_ accept: String, _ isAccepted: Bool) {
        #expect(HeaderFields([("Accept", accept)]).accepts("text/event-stream") == isAccepted)
    }

    @Test func equalIsWhatSaysTheSame() throws {
        var buffer = ByteBuffer(string: "GET / HTTP/1.1\r\nHost:\ta \r\nX:b\r\n\r\n")
        var parser = RequestHeadParser()
        let head = try #require(try parser.parse(&buffer))
        let made = HeaderFields([("Host", "a"), ("X", "b")])
        #expect(head.fields == made && head.fields.hashValue == made.hashValue)
        #expect(made != HeaderFields([("X", "b"), ("Host", "a")]))
        #expect(made != HeaderFields([("Host", "a")]))
    }

    /// Every name that is told apart when a head is read, and its neighbours, are found by their text as well.
    @Test func knownNamesAndTheirNeighboursAreNotMixedUp() {
        for known in KnownField.allCases where known != .other {
            let name = "\(known.name)"
            #expect(KnownField(name) == known && KnownField(name.uppercased()) == known)
            for other in [name + "s", String(name.dropLast()), String(name.dropFirst()), "x" + name.dropFirst()] {
                guard other != name else { continue }
                let fields = HeaderFields([(other, "a")])
                #expect(fields[name] == nil && fields[other] == "a" && !fields.contains(known))
            }
            // Case alone makes no difference: no other character of a token stands for a letter or a hyphen.
            for token in "!#$%&'*+.^_`|~0" {
                let twisted = String(name.map { $0 == "-" || $0 == "o" ? token : $0 })
                if twisted != name { #expect(KnownField(twisted) == .other, "\(twisted)") }
            }
        }
    }
}

extension String {
    fileprivate var trimmingWhiteSpace: Substring {
        guard let start = self.firstIndex(where: { $0 != " " }), let end = self.lastIndex(where: { $0 != " " }) else {
            return ""
        }
        return self[start...end]
    }
}

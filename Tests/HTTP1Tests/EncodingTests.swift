import HTTP1
import Testing

@Suite struct EncodingTests {
    @Test(arguments: [
        ("", ""), ("a", "a"), ("%41%62", "Ab"), ("%c3%BC", "ü"), ("a+b", "a+b"), ("%2F%2e", "/."), ("100%25", "100%"),
        ("%F0%9F%94%94", "🔔"), ("ü", "ü"),
    ])
    func percentSignsAreUndone(_ text: String, _ decoded: String) throws {
        #expect(try PercentEncoding.decode(text) == decoded)
    }

    @Test(arguments: [
        "%", "%4", "%4g", "%g4", "a%", "%%41", "%00", "a%00b", "%ff", "%C3", "%C3%28", "%ED%A0%80", "%C0%AF", "% 41",
        "%+1",
    ])
    func whatHidesNoTextIsRefused(_ text: String) {
        #expect(throws: HTTP1Error.self) { try PercentEncoding.decode(text) }
    }

    /// What was encoded twice is decoded once.
    @Test func decodingIsDoneOnce() throws {
        #expect(try PercentEncoding.decode("%252e%2500") == "%2e%00")
    }

    @Test func queryItemsAreFoundByName() {
        let items = QueryItems("a=1&b=x+y%26z&a=2&empty&none=&=nameless&%61b=c")
        #expect(items["a"] == "1" && items.values("a") == ["1", "2"])
        #expect(items["b"] == "x y&z")
        #expect(items["empty"] == "" && items["none"] == "" && items[""] == "nameless")
        #expect(items["ab"] == "c" && items["A"] == nil)
    }

    @Test func whatCannotBeDecodedIsLeftOut() {
        let items = QueryItems("a=%&b=%00&c=%ff&%zz=1&d=1&&=&e=f=g")
        #expect(items.items.map(\.name) == ["d", "", "e"])
        #expect(items["e"] == "f=g")
    }

    @Test func aQueryIsNotReadForEver() {
        let items = QueryItems(String(repeating: "a=b&", count: 100_000) + "last=1")
        #expect(items.items.count == 256 && items["last"] == nil)
        #expect(QueryItems("").items.isEmpty)
    }

    @Test func cookiesAreFoundByName() {
        let cookies = Cookies(
            HeaderFields([
                ("Cookie", "sessionid=abc; csrftoken=\"d=e\";theme=dark ;broken; =x; SessionID=other"),
                ("Cookie", "b=c"),
            ]))
        #expect(cookies["sessionid"] == "abc" && cookies["SessionID"] == "other")
        #expect(cookies["csrftoken"] == "d=e")
        #expect(cookies["theme"] == "dark" && cookies["b"] == "c")
        #expect(cookies["broken"] == nil && cookies["session"] == nil && cookies["x"] == nil)
        #expect(Cookies(HeaderFields())["a"] == nil)
    }

    @Test func ofTwoCookiesTheLastCounts() {
        let cookies = Cookies(HeaderFields([("Cookie", "a=1; a=2")]))
        #expect(cookies["a"] == "2" && cookies.values("a") == ["1", "2"])
    }

    @Test func usualCodesHaveTheirNames() {
        #expect(ReasonPhrase.of(101) == "Switching Protocols" && ReasonPhrase.of(200) == "OK")
        #expect(
            ReasonPhrase.of(431) == "Request Header Fields Too Large" && ReasonPhrase.of(503) == "Service Unavailable")
        #expect(ReasonPhrase.of(599).isEmpty && ReasonPhrase.of(-1).isEmpty)
        for status in [400, 413, 414, 431, 501, 502, 504, 505] { #expect(!ReasonPhrase.of(status).isEmpty) }
    }
}

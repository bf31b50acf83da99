import Testing

@testable import Gateway

@Suite struct TagsFilterTests {
    private static let tags = ["lang": "en", "price": "10.50", "empty": "", "city": "M\u{fc}nchen"]

    private static func leaf(_ key: String, _ comparison: String, _ value: String = "", _ values: [String] = [])
        -> ClientFilter
    {
        ClientFilter(key: key, comparison: comparison, value: value, values: values)
    }

    @Test(arguments: [
        (leaf("lang", "eq", "en"), true), (leaf("lang", "eq", "de"), false), (leaf("none", "eq", "en"), false),
        (leaf("lang", "neq", "en"), false), (leaf("lang", "neq", "de"), true), (leaf("none", "neq", "en"), true),
        (leaf("lang", "in", "", ["de", "en"]), true), (leaf("lang", "in", "", ["de"]), false),
        (leaf("none", "in", "", ["de"]), false), (leaf("none", "in", "", [""]), true),
        (leaf("lang", "nin", "", ["de"]), true), (leaf("lang", "nin", "", ["en"]), false),
        (leaf("none", "nin", "", ["en"]), true),
        (leaf("lang", "ex"), true), (leaf("empty", "ex"), true), (leaf("none", "ex"), false),
        (leaf("lang", "nex"), false), (leaf("none", "nex"), true), (leaf("", "nex"), true),
        (leaf("city", "sw", "M\u{fc}"), true), (leaf("city", "sw", "u"), false), (leaf("none", "sw", "M"), false),
        (leaf("city", "ew", "chen"), true), (leaf("city", "ew", "Che"), false),
        (leaf("city", "ct", "nch"), true), (leaf("city", "ct", "xyz"), false),
        // Another spelling of the same character.
        (leaf("city", "ct", "u\u{308}"), false),
        (leaf("price", "gt", "10.5"), false), (leaf("price", "gte", "10.5"), true),
        (leaf("price", "lte", "1.05e1"), true),
        (leaf("price", "lt", "100"), true), (leaf("price", "lt", "9"), false), (leaf("lang", "lt", "9"), false),
        (leaf("price", "gt", "x"), false), (leaf("none", "lt", "9"), false),
    ]) func aComparisonIsTrueOrNot(filter: ClientFilter, expected: Bool) throws {
        #expect(try TagsFilter(filter).matches(Self.tags) == expected)
        #expect(try TagsFilter(ClientFilter(op: "not", nodes: [filter])).matches(Self.tags) == !expected)
        let both = [filter, Self.leaf("lang", "eq", "en")]
        #expect(try TagsFilter(ClientFilter(op: "and", nodes: both)).matches(Self.tags) == expected)
        #expect(try TagsFilter(ClientFilter(op: "or", nodes: both)).matches(Self.tags))
    }

    @Test(arguments: [
        ClientFilter(), leaf("a", ""), leaf("a", "like", "b"), leaf("", "eq", "b"), leaf("a", "eq"),
        leaf("a", "eq", "b", ["c"]), leaf("a", "in"), leaf("a", "in", "b", ["b"]), leaf("a", "ex", "b"),
        leaf("a", "nex", "", ["b"]), ClientFilter(op: "and"), ClientFilter(op: "or"), ClientFilter(op: "not"),
        ClientFilter(op: "not", nodes: [leaf("a", "ex"), leaf("b", "ex")]),
        ClientFilter(op: "xor", nodes: [leaf("a", "ex")]),
        ClientFilter(op: "and", nodes: [leaf("a", "eq")]),
        ClientFilter(op: "and", nodes: Array(repeating: leaf("a", "ex"), count: 101)),
        leaf("a", "in", "", (0..<200).map(String.init)),
    ]) func whatMakesNoSenseIsRefused(filter: ClientFilter) {
        #expect(throws: ClientError.badRequest) { _ = try TagsFilter(filter) }
    }

    @Test func numbersAreComparedExactly() throws {
        // The smallest first.
        let rising = [
            "-1e3", "-999.999", "-10", "-9.5", "-0.0010", "0", "0.00099", "1e-3", "0.1", "0.10000000000000000001", "1",
            "9007199254740992", "9007199254740993", "123456789012345678901234567890",
            "123456789012345678901234567890.000000000000000000000000001", "1e400", "1.1E400",
        ]
        for (index, one) in rising.enumerated() {
            for (other, text) in rising.enumerated() {
                let (left, right) = (try #require(ExactDecimal(one)), try #require(ExactDecimal(text)))
                #expect((left < right) == (index < other) && (left == right) == (index == other), "\(one) \(text)")
            }
        }
        for (one, other) in [("0", "-0.00"), ("1", "1.0"), ("10", "1e1"), (".5", "0.50"), ("5.", "+5"), ("0e9", "0")] {
            #expect(ExactDecimal(one) == ExactDecimal(other))
        }
        for text in [
            "", "-", ".", "e1", "1e", "1e1.5", "1 ", " 1", "0x1", "1_0", "1.2.3", "NaN", "inf", "1e9999999", "\u{661}",
        ] {
            #expect(ExactDecimal(text) == nil, "\(text)")
        }
        #expect(ExactDecimal(String(repeating: "1", count: 2_000)) == nil)
    }
}

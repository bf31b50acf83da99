import Testing

@testable import Gateway

struct LifecycleRoleTests {
    private typealias Beat = LifecycleRole.Beat

    private static func role(_ node: String, beats: Int = 0) -> LifecycleRole {
        var role = LifecycleRole(node: node, patience: 3)
        for _ in 0..<beats { _ = role.heard(Beat(node: node)) }
        return role
    }

    @Test func whoIsAloneIsTheClerkAfterAMoment() {
        #expect(!Self.role("b", beats: 2).isClerk)
        #expect(Self.role("b", beats: 3).isClerk)
    }

    @Test func ofTwoWhoBeginTheFirstByNameIs() {
        var one = Self.role("a")
        var other = Self.role("b")
        for _ in 0..<3 {
            for node in ["a", "b"] {
                _ = one.heard(Beat(node: node))
                _ = other.heard(Beat(node: node))
            }
        }
        #expect(one.isClerk)
        #expect(!other.isClerk)
    }

    @Test func whoComesLaterDoesNotTakeItAway() {
        var role = Self.role("a")
        for _ in 0..<9 {
            _ = role.heard(Beat(node: "b", isClerk: true, known: ["a"]))
            _ = role.heard(Beat(node: "a"))
        }
        #expect(!role.isClerk)
    }

    @Test func ofTwoClerksOneGivesWay() {
        var one = Self.role("a", beats: 3)
        var other = Self.role("b", beats: 3)
        _ = one.heard(Beat(node: "b", isClerk: true, known: ["a"]))
        _ = other.heard(Beat(node: "a", isClerk: true, known: ["b"]))
        #expect(one.isClerk)
        #expect(!other.isClerk)
    }

    @Test func aClerkThatIsSilentIsSucceededAndCountsAsSilent() {
        var role = Self.role("b")
        _ = role.heard(Beat(node: "a", isClerk: true, known: ["b"]))
        for _ in 0..<3 { _ = role.heard(Beat(node: "b")) }
        #expect(!role.isClerk)
        #expect(!role.isSilent("a"))
        _ = role.heard(Beat(node: "b"))
        #expect(role.isClerk)
        #expect(role.isSilent("a"))
        #expect(!role.isSilent("b"))
    }

    @Test func aClerkThatSaysGoodbyeIsSucceededAtOnce() {
        var role = Self.role("b")
        for _ in 0..<5 {
            _ = role.heard(Beat(node: "a", isClerk: true, known: ["b"]))
            _ = role.heard(Beat(node: "b"))
        }
        _ = role.heard(Beat(node: "a", isLast: true))
        _ = role.heard(Beat(node: "b"))
        #expect(role.isClerk)
    }

    @Test func nobodyIsSilentWhileTheLayerIsAway() {
        var role = Self.role("a", beats: 3)
        _ = role.heard(Beat(node: "b"))
        // Time passes, and no beat comes back.
        #expect(!role.isSilent("b"))
    }

    @Test func aGatewayThatWasNeverHeardIsSilentAfterTheSameTime() {
        var role = Self.role("a", beats: 3)
        #expect(!role.isSilent("z"))
        for _ in 0..<4 { _ = role.heard(Beat(node: "a")) }
        #expect(role.isSilent("z"))
    }

    @Test func whoIsUnknownToTheClerkSaysWhatItHas() {
        var role = Self.role("a")
        let known = [["b"], ["b"], ["b"], ["a", "b"], ["b"]]
        let answers = known.map { role.heard(Beat(node: "b", isClerk: true, known: $0)) }
        #expect(answers == [false, true, false, false, false])
        let another = role.heard(Beat(node: "c"))
        #expect(!another)
    }
}

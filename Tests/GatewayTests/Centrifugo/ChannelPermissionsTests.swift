import Testing

@testable import Gateway

/// Who may do what, for every combination of what it depends on.
@Suite struct ChannelPermissionsTests {
    private static let bools = [false, true]
    private static let users = ["", "12", "34"]

    /// Every value of some flags.
    private static func flags(_ count: Int) -> [[Bool]] {
        (0..<(1 << count)).map { bits in (0..<count).map { bits >> $0 & 1 == 1 } }
    }

    @Test(arguments: ["news", "ns:news", "dialog#12,57", "$secret", "$dialog#12", "#", "a#34#12"])
    func subscribing(channel: String) {
        for bits in Self.flags(6) {
            let (forClient, forAnonymous, isLimited) = (bits[0], bits[1], bits[2])
            let (asks, hasToken, isInsecure) = (bits[3], bits[4], bits[5])
            var options = ChannelOptions()
            options.allowSubscribeForClient = forClient
            options.allowSubscribeForAnonymous = forAnonymous
            options.allowUserLimitedChannels = isLimited
            options.asksToSubscribe = asks
            for user in Self.users {
                let asker = ChannelAsker(user: user, isInsecure: isInsecure)
                let found = options.subscribeDecision(to: channel, by: asker, hasToken: hasToken)
                // The rules of the reference, said in another way.
                let wanted: SubscribeDecision =
                    if hasToken {
                        .verify
                    } else if channel.hasPrefix("$") {
                        .refused(.permissionDenied)
                    } else if isLimited, channel.contains("#") {
                        user == "12" && channel.hasSuffix("12") || user == "12" && channel == "dialog#12,57"
                            || isInsecure
                            ? .allowed : .refused(.permissionDenied)
                    } else if asks {
                        .ask
                    } else if isInsecure || forClient && (user != "" || forAnonymous) {
                        .allowed
                    } else {
                        .refused(.permissionDenied)
                    }
                #expect(found == wanted, "\(channel) \(user) \(bits)")
                #expect(
                    options.allowsAtConnect(channel, by: asker)
                        == (options.subscribeDecision(to: channel, by: asker, hasToken: false) == .allowed))
            }
        }
    }

    @Test func publishingAndAsking() {
        for bits in Self.flags(7) {
            let access = ChannelAccess(forClient: bits[0], forSubscriber: bits[1], forAnonymous: bits[2])
            var options = ChannelOptions()
            options.publishing = access
            options.presenceAccess = access
            options.historyAccess = access
            options.asksToPublish = bits[3]
            options.presence = bits[4]
            options.historySize = bits[4] ? 10 : 0
            options.historyTime = 60
            for user in Self.users {
                let asker = ChannelAsker(user: user, isSubscribed: bits[5], isInsecure: bits[6])
                let isAllowed =
                    bits[6] || bits[0] && user != "" || bits[0] && bits[2] && user == "" || bits[1] && bits[5]
                let refusal: ClientError? = bits[4] ? (isAllowed ? nil : .permissionDenied) : .notAvailable
                #expect(options.presenceRefusal(for: asker) == refusal, "\(user) \(bits)")
                #expect(options.historyRefusal(for: asker) == refusal, "\(user) \(bits)")
                #expect(
                    options.publishDecision(by: asker)
                        == (bits[3] ? .ask : isAllowed ? .allowed : .refused(.permissionDenied)), "\(user) \(bits)")
            }
        }
    }

    @Test(arguments: [
        ("^[a-z]+$", "ns:abc", true), ("^[a-z]+$", "ns:ABC", false),
        ("^[a-z]+$", "abc", true), ("^\\d{2}$", "ns:12", true), ("^\\d{2}$", "ns:123", false), ("b", "abc", true),
        ("^[\\d_]+$", "1_2", true), ("^[\\d_]+$", "1-2", false), ("^a\\.b$", "a.b", true), ("^a\\.b$", "axb", false),
    ]) func namesAreHeldToTheirPattern(pattern: String, channel: String, isRight: Bool) throws {
        var options = ChannelOptions()
        options.allowSubscribeForClient = true
        options.namePattern = try TextPattern(pattern)
        let asker = ChannelAsker(user: "12")
        #expect(
            options.subscribeDecision(to: channel, by: asker, hasToken: false)
                == (isRight ? .allowed : .refused(.badRequest)))
    }

    @Test func aPatternThatIsNoneIsTold() {
        for pattern in ["(", "[", "a{2,1}", "\0"] { #expect(throws: RouteError.self) { _ = try TextPattern(pattern) } }
    }

    /// Swift's own expressions, and every other that goes back, take longer than the universe has existed for this.
    @Test func aNastyNameTakesNoTime() throws {
        let pattern = try TextPattern("^(a+)+$")
        #expect(!pattern.matches(String(repeating: "a", count: 250) + "!"))
    }
}

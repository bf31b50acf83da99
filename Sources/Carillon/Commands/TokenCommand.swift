import ArgumentParser
import Gateway
import JWTKit
import NIOCore
import Settings

/// `carillon token`: a JSON Web Token that a route of the settings accepts, for trying things out.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Makes a JSON Web Token that a route with \"authenticate\": {\"jwt\": …} accepts.",
        discussion: """
            Signed with the route's first secret (HS256, HS384 or HS512); its issuer and audience are put in. Tokens of \
            public-key algorithms are made by who has the private key.

            carillon subscribe "/channels/rooms/1?token=$(carillon token --user 42)"

            With --channel it is a token for one channel of the client protocol, signed with "subscription_token" where \
            that has keys of its own; without it --follow names channels that the connection has without asking.
            """)

    @Option(help: "The claim \"sub\": who the browser is.")
    var user: String

    @Option(help: ArgumentHelp("How long it counts.", valueName: "time"), transform: TimeOption.read)
    var expires: Duration = .seconds(3_600)

    @Option(
        help: ArgumentHelp(
            "One more claim, as often as needed; JSON, or else a text: --claim room=7 --claim 'tags=[\"a\"]'",
            valueName: "name=value"))
    var claim: [String] = []

    @Option(help: ArgumentHelp("The one channel that the token is for.", valueName: "name"))
    var channel: String?

    @Option(
        help: ArgumentHelp("A channel that the connection has without asking, as often as needed.", valueName: "name"))
    var follow: [String] = []

    @Option(help: ArgumentHelp("What others see of the user, or of the subscription: JSON.", valueName: "json"))
    var info: String?

    @Option(help: ArgumentHelp("What the application alone sees of the connection: a JSON object.", valueName: "json"))
    var meta: String?

    @Option(help: ArgumentHelp("What the subscriber is told when it begins: JSON.", valueName: "json"))
    var data: String?

    @Option(
        help: ArgumentHelp(
            "How long the connection or subscription may last, when not as long as the token counts; 0s for ever.",
            valueName: "time"), transform: TimeOption.read)
    var lasts: Duration?

    @Option(
        help: ArgumentHelp(
            "An option of the namespace that is another one here, as often as needed: --override presence=true",
            valueName: "name=value"))
    var override: [String] = []

    @Option(help: ArgumentHelp("The path of the route, when several have keys of their own.", valueName: "path"))
    var route: String?

    @OptionGroup(title: "Settings") var options: SettingsOptions

    mutating func validate() throws {
        for claim in self.claim where !claim.contains("=") {
            throw ValidationError("--claim \(claim): wanted NAME=VALUE")
        }
        let names = ["presence", "join_leave", "force_push_join_leave", "force_positioning", "force_recovery"]
        for override in self.override {
            let parts = override.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, names.contains(parts[0]), ["true", "false"].contains(parts[1]) else {
                throw ValidationError(
                    "--override \(override): wanted NAME=true or NAME=false, with one of \(names.joined(separator: " "))"
                )
            }
        }
        if self.channel == nil, self.data != nil || !self.override.isEmpty {
            throw ValidationError("--data and --override are for a token with --channel")
        }
        if self.channel != nil, self.meta != nil || !self.follow.isEmpty {
            throw ValidationError("--meta and --follow are for a token without --channel")
        }
    }

    func run() async throws {
        let reader = try self.options.reader()
        let signer = try TokenSigner(reader, route: self.route, isForSubscription: self.channel != nil)
        var claims = signer.claims
        claims[signer.userClaim] = .string(self.user)
        let now = WallTime.seconds
        claims["iat"] = .integer(now)
        claims["exp"] = .integer(now + self.expires.components.seconds)
        self.addChannelClaims(to: &claims, now)
        for claim in self.claim {
            let parts = claim.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let name = parts.first, let text = parts.last else { continue }
            claims[name] = TokenClaim(text)
        }
        try Output.line(try await signer.sign(TokenClaims(claims: claims)))
    }

    /// What only the client protocol knows.
    private func addChannelClaims(to claims: inout [String: TokenClaim], _ now: Int64) {
        if let channel { claims["channel"] = .string(channel) }
        if !self.follow.isEmpty { claims["channels"] = .list(self.follow.map(TokenClaim.string)) }
        if let info { claims["info"] = TokenClaim(info) }
        if let meta { claims["meta"] = TokenClaim(meta) }
        if let data { claims["data"] = TokenClaim(data) }
        if let lasts {
            let seconds = lasts.components.seconds
            claims["expire_at"] = .integer(seconds > 0 ? now + seconds : 0)
        }
        guard !self.override.isEmpty else { return }
        var overrides: [String: TokenClaim] = [:]
        for override in self.override {
            let parts = override.split(separator: "=", maxSplits: 1).map(String.init)
            guard let name = parts.first, let value = parts.last else { continue }
            overrides[name] = .object(["value": .bool(value == "true")])
        }
        claims["override"] = .object(overrides)
    }
}

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

    @Option(help: ArgumentHelp("The path of the route, when several have keys of their own.", valueName: "path"))
    var route: String?

    @OptionGroup(title: "Settings") var options: SettingsOptions

    mutating func validate() throws {
        for claim in self.claim where !claim.contains("=") {
            throw ValidationError("--claim \(claim): wanted NAME=VALUE")
        }
    }

    func run() async throws {
        let reader = try self.options.reader()
        let signer = try TokenSigner(reader, route: self.route)
        var claims = signer.claims
        claims["sub"] = .string(self.user)
        let now = WallTime.seconds
        claims["iat"] = .integer(now)
        claims["exp"] = .integer(now + self.expires.components.seconds)
        for claim in self.claim {
            let parts = claim.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let name = parts.first, let text = parts.last else { continue }
            claims[name] = TokenClaim(text)
        }
        try Output.line(try await signer.sign(TokenClaims(claims: claims)))
    }
}

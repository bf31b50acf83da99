import Gateway
import Glibc
import JSON
import JWTKit
import NIOCore
import Settings

/// Signs tokens with the secret that a route of the settings has.
struct TokenSigner {
    private let secret: String
    private let algorithm: String
    private let kid: String?
    /// What the route wants in every token.
    let claims: [String: TokenClaim]
    /// The claim that names the user.
    let userClaim: String

    /// - Parameters:
    ///   - route: the path of the route as the settings have it; `nil` for the first that has a secret.
    ///   - isForSubscription: the token is for one channel, which may have keys of its own.
    /// - Throws: `Failure` that says which routes there are.
    init(_ reader: SettingsReader, route: String?, isForSubscription: Bool = false) throws {
        var paths: [String] = []
        for (path, jwt) in Self.places(reader, isForSubscription: isForSubscription) {
            paths.append(path)
            guard route == nil || route == path else { continue }
            for key in jwt.elements("keys") {
                guard let algorithm = key.optional("algorithm", String.self), algorithm.hasPrefix("HS") else {
                    continue
                }
                guard let secret = key.optional("secret", String.self, isSecret: true) else { continue }
                self.secret = secret
                self.algorithm = algorithm
                self.kid = key.optional("kid", String.self)
                var claims: [String: TokenClaim] = [:]
                if let issuer = jwt.optional("issuer", String.self) { claims["iss"] = .string(issuer) }
                if let audience = jwt.optional("audience", String.self) { claims["aud"] = .string(audience) }
                self.claims = claims
                self.userClaim = jwt.optional("user_id_claim", String.self) ?? "sub"
                return
            }
        }
        // What is wrong with the settings is the better answer.
        try WholeConfiguration.finish(reader)
        guard !paths.isEmpty else {
            throw Failure("no route of the settings authenticates by \"jwt\"; give the file with --settings")
        }
        let known = paths.joined(separator: ", ")
        throw Failure("no route\(route.map { " \($0)" } ?? "") has an HS… secret; routes with \"jwt\": \(known)")
    }

    /// Everything in the settings that checks tokens, by its path.
    private static func places(
        _ reader: SettingsReader, isForSubscription: Bool
    ) -> [(path: String, jwt: SettingsNode)] {
        var places: [(path: String, jwt: SettingsNode)] = []
        let channels = reader.node(ClientConfiguration.setting)
        let jwt = (isForSubscription ? channels?.child("subscription_token") : nil) ?? channels?.child("token")
        let path = reader.value(GatewaySettings.path) + "connection/websocket"
        guard !isForSubscription else { return jwt.map { [(path, $0)] } ?? [] }
        for node in reader.node(RouteConfiguration.setting)?.elements() ?? [] {
            guard let jwt = node.child("authenticate")?.child("jwt") else { continue }
            places.append((node.optional("path", String.self) ?? "", jwt))
        }
        if let jwt { places.append((path, jwt)) }
        return places
    }

    func sign(_ payload: TokenClaims) async throws -> String {
        let digest: DigestAlgorithm =
            switch self.algorithm {
            case "HS384": .sha384
            case "HS512": .sha512
            default: .sha256
            }
        let keys = JWTKeyCollection()
        let kid = self.kid.map { JWKIdentifier(string: $0) }
        await keys.add(hmac: HMACKey(from: self.secret), digestAlgorithm: digest, kid: kid)
        return try await keys.sign(payload, kid: kid)
    }
}

/// The claims of a token that is made, not read.
struct TokenClaims: JWTPayload {
    let claims: [String: TokenClaim]

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.claims)
    }

    init(claims: [String: TokenClaim]) { self.claims = claims }
    init(from decoder: any Decoder) throws { throw Failure("tokens are only made here") }
    func verify(using key: some JWTAlgorithm) throws {}
}

/// A value of a claim.
indirect enum TokenClaim: Encodable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case string(String)
    case list([TokenClaim])
    case object([String: TokenClaim])

    /// JSON, or what is none as a text.
    init(_ text: String) {
        let json = try? JSONValue(parsing: ByteBuffer(string: text), options: .init(depth: 16))
        self = json.map(Self.init) ?? .string(text)
    }

    /// Depth is bounded by the parser.
    private init(_ json: JSONValue) {
        switch json.kind {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .double(Double(value))
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let elements): self = .list(elements.map(Self.init))
        case .object(let members):
            self = .object(Dictionary(members.map { ($0.key, Self($0.value)) }) { $1 })
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// The time of day.
enum WallTime {
    /// Since 1970.
    static var seconds: Int64 { Int64(time(nil)) }
}

import JWTKit

/// A key that tokens are signed with, and the one algorithm it is for.
package struct TokenKey: Sendable {
    private enum Kind: Sendable {
        case hmac(HMACKey, DigestAlgorithm)
        case rsa(Insecure.RSA.PublicKey, DigestAlgorithm)
        case pss(Insecure.RSA.PublicKey, DigestAlgorithm)
        case es256(ES256PublicKey)
        case es384(ES384PublicKey)
        case es512(ES512PublicKey)
        case eddsa(EdDSA.PublicKey)
    }

    private let kind: Kind
    private let id: String?
    /// Seconds since 1970 until which it counts: of a secret that was replaced, until its last tokens are over.
    package var validUntil = Int64.max

    /// Names of the algorithms (RFC 7518 §3.1, RFC 8037).
    package static let algorithms = [
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
        "EdDSA",
    ]

    /// - Parameters:
    ///   - algorithm: one of `algorithms`; `none` is no algorithm.
    ///   - text: the secret itself for `HS…`, at least as long as the hash (32, 48, 64 bytes); a public key in PEM for the others.
    ///   - id: the `kid` of tokens signed with it.
    package init(algorithm: String, _ text: String, id: String? = nil) throws(RouteError) {
        self.id = id
        let digest: DigestAlgorithm =
            algorithm.hasSuffix("384") ? .sha384 : algorithm.hasSuffix("512") ? .sha512 : .sha256
        do {
            switch algorithm {
            case "HS256": self.kind = try Self.hmac(text, digest, 32)
            case "HS384": self.kind = try Self.hmac(text, digest, 48)
            case "HS512": self.kind = try Self.hmac(text, digest, 64)
            case "RS256", "RS384", "RS512": self.kind = .rsa(try Insecure.RSA.PublicKey(pem: text), digest)
            case "PS256", "PS384", "PS512": self.kind = .pss(try Insecure.RSA.PublicKey(pem: text), digest)
            case "ES256": self.kind = .es256(try ES256PublicKey(pem: text))
            case "ES384": self.kind = .es384(try ES384PublicKey(pem: text))
            case "ES512": self.kind = .es512(try ES512PublicKey(pem: text))
            case "EdDSA": self.kind = .eddsa(try EdDSA.PublicKey(pem: text))
            default:
                throw RouteError(
                    "\"\(algorithm)\" is no algorithm, wanted one of \(Self.algorithms.joined(separator: " "))")
            }
        } catch let error as RouteError {
            throw error
        } catch {
            throw RouteError("no public key for \(algorithm), wanted one in PEM (-----BEGIN PUBLIC KEY-----)")
        }
    }

    private static func hmac(_ secret: String, _ digest: DigestAlgorithm, _ bytes: Int) throws(RouteError) -> Kind {
        guard secret.utf8.count >= bytes else {
            throw RouteError(
                "the secret has \(secret.utf8.count) bytes, wanted at least \(bytes) for this algorithm (RFC 7518 §3.2): "
                    + "shorter ones can be guessed")
        }
        return .hmac(HMACKey(from: secret), digest)
    }

    /// - Parameter index: makes a name of its own for a key without one.
    func add(to collection: JWTKeyCollection, _ index: Int) async throws {
        let kid = JWKIdentifier(string: self.id ?? "key \(index)")
        switch self.kind {
        case .hmac(let key, let digest): await collection.add(hmac: key, digestAlgorithm: digest, kid: kid)
        case .rsa(let key, let digest): await collection.add(rsa: key, digestAlgorithm: digest, kid: kid)
        case .pss(let key, let digest): await collection.add(pss: key, digestAlgorithm: digest, kid: kid)
        case .es256(let key): await collection.add(ecdsa: key, kid: kid)
        case .es384(let key): await collection.add(ecdsa: key, kid: kid)
        case .es512(let key): await collection.add(ecdsa: key, kid: kid)
        case .eddsa(let key): await collection.add(eddsa: key, kid: kid)
        }
    }
}

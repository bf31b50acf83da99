import HTTP1
import JSON
import JWTKit
package import NIOCore
import Synchronization
package import Upstream

/// Public keys of tokens that an identity provider publishes (a JSON Web Key Set, RFC 7517), fetched when the first token
/// comes, again when they are old, and again when a token names a key that is not among them: so it changes its keys
/// without our being told.
///
/// Fetched once at a time, whoever waits for it, and not more often than every few seconds, whatever strangers' tokens
/// name. When it cannot be fetched, the keys of before count.
package actor RemoteKeySet {
    /// - Returns: the key set's text.
    package typealias Fetch = @Sendable () async throws -> ByteBuffer

    package nonisolated let address: UpstreamAddress
    /// Path and query.
    package nonisolated let target: String
    /// Seconds after which keys are fetched again.
    private let lifetime: Int64

    private nonisolated let fetch = Mutex<Fetch?>(nil)
    /// By the names that tokens give them.
    private var keys: [String: JWTKeyCollection] = [:]
    /// When a fetch last began, and when one last succeeded: seconds since 1970.
    private var began = Int64.min
    private var succeeded: Int64?
    private var fetching: Task<Void, Never>?

    static let sizeLimit = 262_144
    private static let keyLimit = 100
    /// Seconds between two fetches.
    private static let pause: Int64 = 5

    package init(address: UpstreamAddress, target: String, lifetime: Int64 = 3_600) {
        self.address = address
        self.target = target
        self.lifetime = lifetime
    }

    /// Says how keys are fetched; before the first token.
    package nonisolated func use(_ fetch: @escaping Fetch) { self.fetch.withLock { $0 = fetch } }

    /// Says that keys are fetched by `client`, whose one upstream is `address`.
    package nonisolated func use(_ client: UpstreamClient) {
        let request = UpstreamRequest(
            method: "GET", target: self.target, fields: HeaderFields([("Accept", "application/json")]))
        self.use {
            let answer = try await client.ask(request, timeout: .seconds(10), limit: Self.sizeLimit)
            guard answer.status == 200 else { throw Problem("status \(answer.status)") }
            return answer.body
        }
    }

    // MARK: Tokens

    /// The claims of a token that one of the keys signed.
    ///
    /// - Parameter now: seconds since 1970.
    func verify(_ token: String, now: Int64) async throws(TokenFault) -> TokenPayload {
        let name = Self.keyName(of: token)
        let isOld = self.succeeded.map { now.subtractingReportingOverflow($0).partialValue >= self.lifetime } ?? true
        if isOld || self.candidates(name).isEmpty { await self.renew(now) }
        guard self.succeeded != nil else { throw .unavailable("the keys of \(self.address) cannot be had") }
        for keys in self.candidates(name) {
            if let payload = try? await keys.verify(token, as: TokenPayload.self) { return payload }
        }
        throw .invalid("token: signed by no key of \(self.address)")
    }

    /// The key that the token names; all of them for one that names none.
    private func candidates(_ name: String?) -> [JWTKeyCollection] {
        guard let name else { return Array(self.keys.values) }
        return self.keys[name].map { [$0] } ?? []
    }

    private static func keyName(of token: String) -> String? {
        let header = token.utf8.prefix { $0 != UInt8(ascii: ".") }
        guard let bytes = Base64.decodeURL(header), let json = try? JSONText(validating: ByteBuffer(bytes: bytes))
        else { return nil }
        return json.field("kid")?.stringValue
    }

    // MARK: Fetching

    private func renew(_ now: Int64) async {
        if let fetching { return await fetching.value }
        guard self.began == .min || now - self.began >= Self.pause || now < self.began,
            let fetch = self.fetch.withLock({ $0 })
        else { return }
        self.began = now
        // A task of its own, since it is everybody's who waits: the one who began it may go.
        let task = Task {
            if let text = try? await fetch(), let keys = await Self.read(text) {
                self.keys = keys
                self.succeeded = now
            }
            self.fetching = nil
        }
        self.fetching = task
        await task.value
    }

    /// - Returns: `nil` for what is no key set. Keys that cannot be used are passed over.
    private static func read(_ text: ByteBuffer) async -> [String: JWTKeyCollection]? {
        guard text.readableBytes <= Self.sizeLimit, let set = try? JSONText(validating: text).field("keys"),
            let elements = try? JSONValue(parsing: set.bytes).array
        else { return nil }
        var keys: [String: JWTKeyCollection] = [:]
        for (index, element) in elements.prefix(Self.keyLimit).enumerated() {
            let use = element["use"]?.string ?? "sig"
            guard use == "sig", let key = Self.key(element) else { continue }
            let collection = JWTKeyCollection()
            var named = key
            named.keyIdentifier = key.keyIdentifier ?? JWKIdentifier(string: "key \(index)")
            guard (try? await collection.add(jwk: named)) != nil else { continue }
            keys[element["kid"]?.string ?? "key \(index)"] = collection
        }
        return keys
    }

    /// A key is bound to one algorithm; one that names none to the usual one of its kind.
    private static func key(_ json: JSONValue) -> JWK? {
        func text(_ name: String) -> String? { json[name]?.string }
        let algorithm: JWK.Algorithm
        switch (text("kty"), text("crv")) {
        case ("RSA"?, _):
            algorithm = text("alg").map { JWK.Algorithm(rawValue: $0) ?? .rsaOAEP } ?? .rs256
            guard let modulus = text("n"), let exponent = text("e") else { return nil }
            return .rsa(
                algorithm, identifier: text("kid").map(JWKIdentifier.init(string:)), modulus: modulus,
                exponent: exponent)
        case ("EC"?, let curve?):
            switch curve {
            case "P-256": algorithm = .es256
            case "P-384": algorithm = .es384
            case "P-521": algorithm = .es512
            default: return nil
            }
            return .ecdsa(
                algorithm, identifier: text("kid").map(JWKIdentifier.init(string:)), x: text("x"), y: text("y"),
                curve: ECDSACurve(rawValue: curve))
        case ("OKP"?, let curve?):
            return .octetKeyPair(
                .eddsa, identifier: text("kid").map(JWKIdentifier.init(string:)), x: text("x"), y: nil,
                curve: EdDSACurve(rawValue: curve))
        // A secret that is published is none.
        default: return nil
        }
    }

    private struct Problem: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}

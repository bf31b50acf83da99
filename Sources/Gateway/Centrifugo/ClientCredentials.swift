import HTTP1
import JSON
import NIOCore

/// Who a connection's token says it is.
struct ClientCredentials: Equatable, Sendable {
    /// Empty for a visitor without a user.
    var user = ""
    /// The claim `info`, which others see beside what this connection publishes.
    var info: JSONText?
    /// When the token ends, in seconds since 1970; `nil` for never.
    var expires: Int64?

    static let anonymous = ClientCredentials()

    /// Why a token does not count.
    enum Fault: Error, Sendable {
        /// Malformed, not signed by one of our keys, for somebody else. Another try is no use.
        case invalid
        /// It was good, or will be: a new one will do.
        case expired
    }
}

extension TokenAuthentication {
    /// - Parameter now: seconds since 1970.
    func credentials(of token: String, now: Int64) async -> Result<ClientCredentials, ClientCredentials.Fault> {
        guard token.utf8.count <= Self.lengthLimit else { return .failure(.invalid) }
        let payload: TokenPayload
        do throws(TokenFault) {
            payload = try await self.payload(of: token, now: now)
        } catch {
            switch error {
            case .invalid: return .failure(.invalid)
            case .expired: return .failure(.expired)
            }
        }
        // Of the claims as they stand, because `info` is whatever JSON the application wants.
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let claims = Base64.decodeURL(parts[1]),
            let json = try? JSONText(validating: ByteBuffer(bytes: claims))
        else { return .failure(.invalid) }
        // A token for one channel opens no connection.
        guard json.field("channel") == nil else { return .failure(.invalid) }
        let info = json.field("info").flatMap { $0.isNull ? nil : $0 }
        let expires = payload.expires.flatMap { Int64(exactly: $0.rounded(.down)) }
        return .success(ClientCredentials(user: payload.claims["sub"] ?? "", info: info, expires: expires))
    }
}

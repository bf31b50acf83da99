import Crypto
import HTTP1

/// Checks values that Django's `django.core.signing` signed with a time: `TimestampSigner`, `signing.dumps`, sessions.
///
///     value ":" timestamp ":" signature
///
///     timestamp   seconds since 1970 in base 62 (0-9 A-Z a-z)
///     signature   base64url without padding of HMAC-SHA-256(key, "value:timestamp")
///     key         SHA-256(salt "signer" SECRET_KEY)
package struct DjangoSigner: Sendable {
    package static let signedCookieSalt = "django.contrib.sessions.backends.signed_cookies"
    package static let sessionStoreSalt = "django.contrib.sessions.SessionStore"

    private let keys: [SymmetricKey]

    /// - Parameters:
    ///   - secrets: `SECRET_KEY`, then those of `SECRET_KEY_FALLBACKS`.
    ///   - salt: what the signer was given; another salt is another key.
    package init(secrets: [String], salt: String) {
        self.keys = secrets.map { secret in
            SymmetricKey(data: SHA256.hash(data: Array((salt + "signer" + secret).utf8)))
        }
    }

    package enum Failure: Error, Sendable, Hashable {
        /// Not three parts, or a timestamp or signature that is none.
        case malformed
        /// Signed with another key, or changed since.
        case badSignature
        /// Older than allowed; `seconds` is its age.
        case expired(seconds: Int64)
        /// The payload is not what `signing.dumps` makes, or larger than 64 KiB.
        case badPayload
    }

    /// The signed value.
    ///
    /// - Parameters:
    ///   - maxAge: seconds that may have passed since it was signed; `nil` for any number.
    ///   - now: seconds since 1970. A value from the future is accepted, as in Django: clocks differ.
    /// - Throws: `malformed`, `badSignature`, `expired`.
    package func unsign(_ text: String, maxAge: Int64?, now: Int64) throws(Failure) -> String {
        guard let last = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let signature = Base64.decodeURL(text.utf8[text.utf8.index(after: last)...]), signature.count == 32
        else { throw .malformed }
        let signed = text[..<last]
        let message = Array(signed.utf8)
        // `isValidAuthenticationCode` takes the same time wherever the first difference is.
        guard
            self.keys.contains(where: {
                HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: message, using: $0)
            })
        else { throw .badSignature }
        guard let middle = signed.utf8.lastIndex(of: UInt8(ascii: ":")),
            let time = Self.base62(signed.utf8[signed.utf8.index(after: middle)...])
        else { throw .malformed }
        if let maxAge {
            let (age, overflow) = now.subtractingReportingOverflow(time)
            guard !overflow, age <= maxAge else { throw .expired(seconds: overflow ? .max : age) }
        }
        return String(signed[..<middle])
    }

    /// The JSON text that `signing.dumps` signed: base64url, with a dot in front when it is compressed.
    ///
    /// - Throws: as `unsign`, and `badPayload`. At most 64 KiB are unpacked, however small the packed form is.
    package func unsignObject(_ text: String, maxAge: Int64?, now: Int64) throws(Failure) -> [UInt8] {
        let value = try self.unsign(text, maxAge: maxAge, now: now)
        let isCompressed = value.utf8.first == UInt8(ascii: ".")
        guard let packed = Base64.decodeURL(value.utf8.dropFirst(isCompressed ? 1 : 0)) else { throw .badPayload }
        guard isCompressed else { return packed }
        guard let payload = BoundedInflate.zlib(packed, limit: 65_536) else { throw .badPayload }
        return payload
    }

    /// A number in base 62, at most ten digits (Django writes six until the year 3770).
    private static func base62(_ text: some Collection<UInt8>) -> Int64? {
        guard (1...10).contains(text.count) else { return nil }
        var value: Int64 = 0
        for character in text {
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = character - UInt8(ascii: "A") + 10
            case UInt8(ascii: "a")...UInt8(ascii: "z"): digit = character - UInt8(ascii: "a") + 36
            default: return nil
            }
            value = value * 62 + Int64(digit)
        }
        return value
    }
}

/// The value a session keeps under `_auth_user_hash`, made of the user's password column: a changed password ends the
/// sessions that were opened before. Only who can read the password column can check it.
package enum DjangoSessionHash {
    private static let salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"

    /// Whether `hash` (hexadecimal, as sessions keep it) belongs to the password column. Compares in constant time.
    package static func isValid(_ hash: String, passwordField: String, secret: String) -> Bool {
        let digits = Array(hash.utf8)
        guard digits.count == 64 else { return false }
        var code: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let high = hexadecimalDigit(digits[index]), let low = hexadecimalDigit(digits[index + 1]) else {
                return false
            }
            code.append(high << 4 | low)
        }
        let key = SymmetricKey(data: SHA256.hash(data: Array((Self.salt + secret).utf8)))
        return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Array(passwordField.utf8), using: key)
    }
}

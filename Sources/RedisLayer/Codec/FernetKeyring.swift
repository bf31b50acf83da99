import Crypto
import CryptoExtras
import HTTP1
import NIOCore

/// `symmetric_encryption_keys`: the first key encrypts, each is tried for what arrives, so that keys can be changed
/// without a break.
struct FernetKeyring: Sendable {
    /// Why a token was not opened.
    enum Refusal: Error, Equatable {
        /// It is no token, or none of the keys made it.
        case notOurs
        /// Its time is too far back or, by a clock that is ahead, too far in the future.
        case notItsTime
    }

    private let keys: [FernetKey]
    private let first: FernetKey

    /// `nil` when there are no keys: nothing is encrypted then.
    init?(_ secrets: [String]) {
        self.keys = secrets.map(FernetKey.init)
        guard let first = self.keys.first else { return nil }
        self.first = first
    }

    /// Appends the token of `payload`.
    ///
    /// - Parameter seconds: since 1970.
    func seal(_ payload: ByteBuffer, at seconds: UInt64, into buffer: inout ByteBuffer) throws {
        try self.first.seal(payload, at: seconds, into: &buffer)
    }

    /// What is in a token.
    ///
    /// - Parameter times: when it may have been made, in seconds since 1970; `nil` for any time.
    func open(_ text: ByteBuffer, madeIn times: ClosedRange<UInt64>?) throws(Refusal) -> ByteBuffer {
        guard let token = Base64.decodePaddedURL(text) else { throw .notOurs }
        for key in self.keys {
            guard let (payload, seconds) = key.open(token) else { continue }
            if let times, !times.contains(seconds) { throw .notItsTime }
            return payload
        }
        throw .notOurs
    }
}

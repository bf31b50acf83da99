import Crypto
import CryptoExtras
import HTTP1
import NIOCore

/// One of the secrets in `symmetric_encryption_keys`, ready for use.
///
///     token      base64url, with padding, of: 0x80 | time | IV | ciphertext | HMAC
///     time       unsigned 64 bits, big-endian, seconds since 1970
///     IV         16 bytes
///     ciphertext AES-128-CBC, padded as PKCS #7 says
///     HMAC       SHA-256 over everything before it
///     key        SHA-256 of the configured text: 16 bytes that sign, 16 bytes that encrypt
///
/// Source: the Fernet specification; channels_redis for how the key is made.
struct FernetKey: Sendable {
    private static let version: UInt8 = 0x80
    private static let headSize = 1 + 8 + 16
    private static let signatureSize = 32
    private static let blockSize = 16

    private let signing: SymmetricKey
    private let encryption: SymmetricKey

    /// - Parameter secret: any text, as the operator wrote it.
    init(_ secret: String) {
        let digest = Array(SHA256.hash(data: Array(secret.utf8)))
        self.signing = SymmetricKey(data: digest.prefix(16))
        self.encryption = SymmetricKey(data: digest.suffix(16))
    }

    /// Appends the token of `payload` to `buffer`.
    ///
    /// - Parameters:
    ///   - seconds: since 1970.
    ///   - vector: the IV; a fresh random one, except where a test needs a known token.
    func seal(
        _ payload: ByteBuffer, at seconds: UInt64, vector: AES._CBC.IV = .init(), into buffer: inout ByteBuffer
    ) throws {
        let ciphertext = try AES._CBC.encrypt(Array(payload.readableBytesView), using: self.encryption, iv: vector)
        var token = ByteBuffer()
        token.reserveCapacity(Self.headSize + ciphertext.count + Self.signatureSize)
        token.writeInteger(Self.version)
        token.writeInteger(seconds)
        token.writeBytes(Array(vector))
        token.writeBytes(ciphertext)
        let signature = HMAC<SHA256>.authenticationCode(for: Array(token.readableBytesView), using: self.signing)
        token.writeBytes(Array(signature))
        buffer.writeBase64(token, alphabet: .url)
    }

    /// The payload and the time of a token's bytes; `nil` when this key did not make it.
    ///
    /// - Parameter token: the bytes that the text stands for.
    func open(_ token: ByteBuffer) -> (payload: ByteBuffer, seconds: UInt64)? {
        let length = token.readableBytes - Self.headSize - Self.signatureSize
        guard length >= Self.blockSize, length.isMultiple(of: Self.blockSize) else { return nil }
        var rest = token
        guard let signed = rest.readBytes(length: Self.headSize + length),
            let signature = rest.readBytes(length: Self.signatureSize),
            // Compares in a time that does not depend on where they differ.
            HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: self.signing),
            let vector = try? AES._CBC.IV(ivBytes: signed[9..<Self.headSize])
        else { return nil }
        var head = ByteBuffer(bytes: signed.prefix(9))
        guard head.readInteger(as: UInt8.self) == Self.version, let seconds = head.readInteger(as: UInt64.self),
            let payload = try? AES._CBC.decrypt(signed[Self.headSize...], using: self.encryption, iv: vector)
        else { return nil }
        return (ByteBuffer(bytes: payload), seconds)
    }
}

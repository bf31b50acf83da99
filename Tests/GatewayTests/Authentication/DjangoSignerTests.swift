import CZlib
import Foundation
import Testing

@testable import Gateway

/// What Django itself signed; made by the Python package named in the file.
struct DjangoVectors: Decodable {
    struct Signed: Decodable {
        let salt: String
        let value: String
        let signed: String
    }

    let secret_key: String
    let signing_time: Double
    let password_field: String
    let session_auth_hash: String
    let db_session_data: String
    let db_salt: String
    let db_session_data_small_uncompressed: String
    let signed_cookie_value: String
    let signed_cookie_salt: String
    let timestamp_signer: Signed
    let json_payload: String

    static func read() throws -> DjangoVectors {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../Vectors/django-signing.json")
        return try JSONDecoder().decode(DjangoVectors.self, from: Data(contentsOf: file))
    }

    var now: Int64 { Int64(self.signing_time) }
}

@Suite struct DjangoSignerTests {
    let vectors: DjangoVectors

    init() throws { self.vectors = try DjangoVectors.read() }

    func signer(_ salt: String, secrets: [String]? = nil) -> DjangoSigner {
        DjangoSigner(secrets: secrets ?? [self.vectors.secret_key], salt: salt)
    }

    @Test func djangosOwnValuesAreRead() throws {
        let now = self.vectors.now
        let sessions = self.signer(self.vectors.db_salt)
        let cookies = self.signer(self.vectors.signed_cookie_salt)
        #expect(self.vectors.db_salt == DjangoSigner.sessionStoreSalt)
        #expect(self.vectors.signed_cookie_salt == DjangoSigner.signedCookieSalt)
        let payloads = try [
            sessions.unsignObject(self.vectors.db_session_data, maxAge: nil, now: now),
            cookies.unsignObject(self.vectors.signed_cookie_value, maxAge: 1_209_600, now: now),
        ]
        #expect(
            payloads.map { String(decoding: $0, as: UTF8.self) } == [
                self.vectors.json_payload, self.vectors.json_payload,
            ])
        let small = try sessions.unsignObject(self.vectors.db_session_data_small_uncompressed, maxAge: nil, now: now)
        #expect(String(decoding: small, as: UTF8.self) == #"{"_auth_user_id":"7"}"#)
        let ticket = self.vectors.timestamp_signer
        #expect(try self.signer(ticket.salt).unsign(ticket.signed, maxAge: 60, now: now) == ticket.value)
    }

    @Test func anotherKeyOrSaltIsRefused() {
        let ticket = self.vectors.timestamp_signer
        for signer in [
            self.signer("other"), self.signer(ticket.salt, secrets: ["other"]), self.signer(ticket.salt, secrets: []),
        ] {
            #expect(throws: DjangoSigner.Failure.badSignature) {
                try signer.unsign(ticket.signed, maxAge: nil, now: self.vectors.now)
            }
        }
    }

    @Test func aFallbackSecretIsAccepted() throws {
        let ticket = self.vectors.timestamp_signer
        let signer = self.signer(ticket.salt, secrets: ["new", self.vectors.secret_key])
        #expect(try signer.unsign(ticket.signed, maxAge: nil, now: self.vectors.now) == "7")
    }

    @Test func anOldValueIsRefusedAndItsAgeSaid() throws {
        let ticket = self.vectors.timestamp_signer
        let signer = self.signer(ticket.salt)
        #expect(try signer.unsign(ticket.signed, maxAge: 60, now: self.vectors.now + 60) == "7")
        #expect(try signer.unsign(ticket.signed, maxAge: 60, now: 0) == "7", "a value from the future")
        #expect(throws: DjangoSigner.Failure.expired(seconds: 61)) {
            try signer.unsign(ticket.signed, maxAge: 60, now: self.vectors.now + 61)
        }
    }

    @Test func everyChangedCharacterIsNoticed() {
        let signer = self.signer(self.vectors.signed_cookie_salt)
        let signed = Array(self.vectors.signed_cookie_value.utf8)
        for index in signed.indices {
            for flip: UInt8 in [1, 2, 0x20] {
                var changed = signed
                changed[index] ^= flip
                #expect(throws: DjangoSigner.Failure.self, "byte \(index)") {
                    try signer.unsignObject(
                        String(decoding: changed, as: UTF8.self), maxAge: nil, now: self.vectors.now)
                }
            }
            #expect(throws: DjangoSigner.Failure.self, "cut at \(index)") {
                try signer.unsignObject(
                    String(decoding: signed[..<index], as: UTF8.self), maxAge: nil, now: self.vectors.now)
            }
        }
    }

    @Test(arguments: [
        "", ":", "::", "7", "7:1r31eq", "7:1r31eq:", ":::::", "7:1r31eq:2NUeTqyittWgr6MG3NedJDmi26xJOrCgZ09t8cgLHC",
    ])
    func whatIsNoSignedValueIsMalformed(_ text: String) {
        #expect(throws: DjangoSigner.Failure.malformed) {
            try self.signer("ws-ticket").unsign(text, maxAge: nil, now: 0)
        }
    }

    @Test func aPackedBombIsNotUnpacked() throws {
        #expect(BoundedInflate.zlib(try self.packed(zeros: 65_536), limit: 65_536)?.count == 65_536)
        #expect(BoundedInflate.zlib(try self.packed(zeros: 65_537), limit: 65_536) == nil)
        #expect(BoundedInflate.zlib(try self.packed(zeros: 100 << 20), limit: 65_536) == nil)
        let whole = try self.packed(zeros: 100)
        #expect(BoundedInflate.zlib(Array(whole.dropLast()), limit: 1_000) == nil)
        #expect(BoundedInflate.zlib(whole + [0], limit: 1_000) == nil)
        #expect(BoundedInflate.zlib([], limit: 1_000) == nil)
    }

    private func packed(zeros: Int) throws -> [UInt8] {
        var length = compressBound(UInt(zeros))
        var packed = [UInt8](repeating: 0, count: Int(length))
        try #require(compress(&packed, &length, [UInt8](repeating: 0, count: zeros), UInt(zeros)) == Z_OK)
        return Array(packed.prefix(Int(length)))
    }

    @Test func theSessionHashBelongsToThePassword() {
        let hash = self.vectors.session_auth_hash
        let secret = self.vectors.secret_key
        func isValid(_ hash: String, _ password: String? = nil, secret: String? = nil) -> Bool {
            DjangoSessionHash.isValid(
                hash, passwordField: password ?? self.vectors.password_field, secret: secret ?? self.vectors.secret_key)
        }
        #expect(isValid(hash))
        #expect(!isValid(hash, "other") && !isValid(hash, secret: secret + "x"))
        #expect(!isValid(String(hash.dropLast())) && !isValid("") && !isValid(String(repeating: "g", count: 64)))
    }
}

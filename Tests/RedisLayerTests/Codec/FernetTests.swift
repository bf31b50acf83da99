import CryptoExtras
import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

struct FernetVectors: Decodable {
    struct Token: Decodable {
        let config_key: String
        let plaintext_hex: String
        let time: UInt64
        let iv_hex: String
        let token: String
    }
    struct Member: Decodable {
        let config: [String]
        let hex: String
    }
    let tokens: [Token]
    let full_member_example: Member

    static func read() throws -> FernetVectors { try vectors(FernetVectors.self, "fernet.json") }
}

@Suite struct FernetTests {
    @Test func tokensAreThoseOfThePythonPackage() throws {
        for vector in try FernetVectors.read().tokens {
            let vector16 = try AES._CBC.IV(ivBytes: bytes(hex: vector.iv_hex).readableBytesView)
            var token = ByteBuffer()
            try FernetKey(vector.config_key)
                .seal(bytes(hex: vector.plaintext_hex), at: vector.time, vector: vector16, into: &token)
            #expect(String(buffer: token) == vector.token)
        }
    }

    @Test func tokensOfThePythonPackageAreOpened() throws {
        for vector in try FernetVectors.read().tokens {
            let keyring = try #require(FernetKeyring(["another", vector.config_key]))
            let payload = try keyring.open(ByteBuffer(string: vector.token), madeIn: vector.time...vector.time)
            #expect(payload == bytes(hex: vector.plaintext_hex))
        }
    }

    @Test func theFirstKeySealsAndEveryKeyOpens() throws {
        let rotated = try #require(FernetKeyring(["new-key", "old-key"]))
        var token = ByteBuffer()
        try rotated.seal(ByteBuffer(string: "hello"), at: 1_000, into: &token)
        #expect(try #require(FernetKeyring(["new-key"])).open(token, madeIn: nil) == ByteBuffer(string: "hello"))
        #expect(throws: FernetKeyring.Refusal.notOurs) {
            try FernetKeyring(["old-key"])?.open(token, madeIn: nil)
        }
        var old = ByteBuffer()
        try FernetKeyring(["old-key"])?.seal(ByteBuffer(string: "before"), at: 1_000, into: &old)
        #expect(try rotated.open(old, madeIn: nil) == ByteBuffer(string: "before"))
    }

    @Test func eachTokenHasItsOwnVector() throws {
        let keyring = try #require(FernetKeyring(["k"]))
        let tokens = try (0..<20).map { _ in
            var token = ByteBuffer()
            try keyring.seal(ByteBuffer(string: "same"), at: 1, into: &token)
            return String(buffer: token)
        }
        #expect(Set(tokens).count == 20)
    }

    @Test func aTokenOfAnotherTimeIsRefused() throws {
        let keyring = try #require(FernetKeyring(["k"]))
        var token = ByteBuffer()
        try keyring.seal(ByteBuffer(string: "x"), at: 1_000, into: &token)
        for times: ClosedRange<UInt64> in [930...1_000, 1_000...1_060] {
            #expect(throws: Never.self) { try keyring.open(token, madeIn: times) }
        }
        for times: ClosedRange<UInt64> in [900...999, 1_001...1_100] {
            #expect(throws: FernetKeyring.Refusal.notItsTime) { try keyring.open(token, madeIn: times) }
        }
    }

    @Test func everyChangedBitIsFound() throws {
        let keyring = try #require(FernetKeyring(["k"]))
        var text = ByteBuffer()
        try keyring.seal(ByteBuffer(string: "a message"), at: 1_000, into: &text)
        let token = try #require(Base64.decodePaddedURL(text))
        for bit in 0..<token.readableBytes * 8 {
            var changed = Array(token.readableBytesView)
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            var changedText = ByteBuffer()
            changedText.writeBase64(ByteBuffer(bytes: changed), alphabet: .url)
            #expect(throws: FernetKeyring.Refusal.notOurs) { try keyring.open(changedText, madeIn: nil) }
        }
    }

    @Test func noBytesAreOpenedByAccident() throws {
        let vectors = try FernetVectors.read().tokens
        let keyring = try #require(FernetKeyring(vectors.map(\.config_key)))
        let corpus = vectors.map { Array($0.token.utf8) } + [[], Array("gAAAAA==".utf8), Array("====".utf8)]
        var mutator = Mutator(corpus: corpus, interesting: Array("=-_Ag".utf8), seed: 11)
        var opened = 0
        for _ in 0..<2_000 {
            let token = ByteBuffer(bytes: mutator.next())
            guard (try? keyring.open(token, madeIn: nil)) != nil else { continue }
            opened += 1
            #expect(corpus.contains(Array(token.readableBytesView)), "a token that nobody made was opened")
        }
        #expect(opened < 200)
    }
}

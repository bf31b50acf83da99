import Foundation
import NIOCore
import Testing

@testable import HTTP1

@Suite struct Base64Tests {
    @Test func itWritesWhatFoundationWritesAndReadsItBack() {
        for count in 0..<20 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 77 &+ 200) }
            let text = Data(bytes).base64EncodedString()
            #expect(Base64.encode(ByteBuffer(bytes: bytes)) == text)
            #expect(Base64.decode(text.utf8) == bytes)
            let url = text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
            #expect(Base64.decodeURL(url.utf8) == bytes)
        }
    }

    @Test(arguments: [("TW\nFu\r\n", [77, 97, 110]), ("TQ==\n", [77]), ("TR==", [77])] as [(String, [UInt8])])
    func lineBreaksAndLeftOverBitsArePassedOver(_ text: String, _ bytes: [UInt8]) {
        #expect(Base64.decode(text.utf8) == bytes)
    }

    @Test(arguments: ["TQ=", "TQ", "TQ===", "T===", "=", "====", "TWFuTQ=A", "TW_u", "TW u", "é", "T", "TWFu="])
    func whatIsNotBase64IsRefused(_ text: String) {
        #expect(Base64.decode(text.utf8) == nil)
    }

    @Test(arguments: ["A", "AB=", "AA==", "A+", "A/", "AB", "AAB", "AA AA", "é"])
    func ofTheURLAlphabetThereIsOneTextForSomeBytes(_ text: String) {
        #expect(Base64.decodeURL(text.utf8) == nil)
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"), ("?~?", "P34_"), (">>>", "Pj4-"),
    ])
    func theURLAlphabetWithPaddingIsWrittenAndRead(plain: String, text: String) {
        var encoded = ByteBuffer(string: ">")
        encoded.writeBase64(ByteBuffer(string: plain), alphabet: .url)
        #expect(String(buffer: encoded) == ">" + text)
        #expect(Base64.decodePaddedURL(ByteBuffer(string: text)) == ByteBuffer(string: plain))
    }

    @Test func allBytesComeBackFromTheURLAlphabet() {
        let all = ByteBuffer(bytes: (0...255).map { UInt8($0) } + (0...255).reversed().map { UInt8($0) })
        var text = ByteBuffer()
        text.writeBase64(all, alphabet: .url)
        #expect(Base64.decodePaddedURL(text) == all)
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm+v", "Zm/v", "Zg==Zg==", "Zm9v\n", "Zm 9"])
    func withPaddingThereIsOneTextForSomeBytesToo(text: String) {
        #expect(Base64.decodePaddedURL(ByteBuffer(string: text)) == nil)
    }
}

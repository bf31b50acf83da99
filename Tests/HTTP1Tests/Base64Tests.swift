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
}

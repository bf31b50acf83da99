import Foundation
import Testing

@testable import Gateway

@Suite struct Base64Tests {
    @Test func itWritesWhatFoundationWrites() {
        for count in 0..<20 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 77 &+ 200) }
            #expect(String(decoding: Base64.encode(bytes), as: UTF8.self) == Data(bytes).base64EncodedString())
            let url = Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
                "=", with: "")
            #expect(Base64.decodeURL(url.utf8) == bytes)
        }
    }

    @Test(arguments: ["A", "AB=", "AA==", "A+", "A/", "AB", "AAB", "AA AA", "é"])
    func thereIsOneTextForSomeBytes(_ text: String) {
        #expect(Base64.decodeURL(text.utf8) == nil)
    }
}

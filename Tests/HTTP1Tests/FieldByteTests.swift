import HTTP1
import NIOCore
import Testing

/// Names, values and targets are looked at in words: every byte must be judged alike wherever in a word it stands.
@Suite struct FieldByteTests {
    /// RFC 9110 section 5.6.2, written out.
    private static let tokens = Set(
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)

    private func isTaken(_ target: [UInt8], _ field: [UInt8]) -> Bool {
        var buffer = ByteBuffer(bytes: Array("GET ".utf8) + target + Array(" HTTP/1.1\r\nHost: a\r\n".utf8) + field)
        buffer.writeString("\r\n\r\n")
        var parser = RequestHeadParser()
        guard let head = try? parser.parse(&buffer) else { return false }
        // What is taken must be one field, and all of it.
        return head.fields.count == 2 && head.target.utf8.elementsEqual(target) && buffer.readableBytes == 0
    }

    private func replacing(_ text: String, _ place: Int, by byte: UInt8) -> [UInt8] {
        var bytes = Array(text.utf8)
        bytes[place] = byte
        return bytes
    }

    @Test(arguments: 0..<19)
    func everyByteOfANameIsJudged(at place: Int) {
        for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: ":") {
            let name = self.replacing("X-Some-Name-Of-Nine", place, by: byte)
            #expect(self.isTaken([0x2F], name + Array(": a".utf8)) == Self.tokens.contains(byte), "\(byte)")
        }
    }

    @Test(arguments: 0..<42)
    func everyByteOfAValueIsJudged(at place: Int) {
        for byte in UInt8.min...UInt8.max {
            let value = self.replacing("forty-two bytes, more than two words of it", place, by: byte)
            let isRight = byte >= 0x20 && byte != 0x7F || byte == 0x09
            #expect(self.isTaken([0x2F], Array("X: ".utf8) + value) == isRight, "\(byte)")
        }
    }

    @Test(arguments: 1..<20)
    func everyByteOfATargetIsJudged(at place: Int) {
        for byte in UInt8.min...UInt8.max {
            let target = self.replacing("/twenty/bytes/and/mo", place, by: byte)
            let isRight = byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "#")
            #expect(self.isTaken(target, Array("X: a".utf8)) == isRight, "\(byte)")
        }
    }
}

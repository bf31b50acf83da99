import ChannelLayer
import Foundation
import TestSupport
import Testing

@Suite struct NameTests {
    struct Vector: Decodable, CustomTestStringConvertible {
        let name: String
        let valid_channel: Bool
        let valid_group: Bool
        var testDescription: String { self.name.debugDescription }
        var isASCII: Bool { self.name.utf8.allSatisfy { $0 < 0x80 && $0 != 0x0A } }
    }

    static let vectors: [Vector] = {
        struct File: Decodable { let names: [Vector] }
        return ChannelLayerTests.vectors(File.self, "names.json").names
    }()

    /// Python also lets digits and letters of other scripts and a final line feed pass; we do not, on purpose.
    @Test(arguments: Self.vectors) func namesAreWhatPythonTakes(_ vector: Vector) {
        #expect(((try? ChannelName(vector.name)) != nil) == (vector.valid_channel && vector.isASCII))
        #expect(((try? GroupName(vector.name)) != nil) == (vector.valid_group && vector.isASCII))
    }

    @Test func everyByteIsAllowedOrNot() throws {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.".unicodeScalars)
        for value in UInt32(0)...0x17F {
            let scalar = try #require(Unicode.Scalar(value))
            let name = "a" + String(Character(scalar))
            #expect(((try? GroupName(name)) != nil) == allowed.contains(scalar))
            #expect(((try? ChannelName(name)) != nil) == (allowed.contains(scalar) || scalar == "!"))
        }
    }

    @Test func aProcessSpecificNameHasTwoParts() throws {
        let name = try ChannelName("specific.abc!d.ef")
        #expect(name.nonLocalPart == "specific.abc!")
        #expect(name.localPart == "d.ef")
        #expect(name.mailbox == "specific.abc!")
        let empty = try ChannelName("specific.abc!")
        #expect(empty.nonLocalPart == "specific.abc!")
        #expect(empty.localPart == "")
        let normal = try ChannelName("worker")
        #expect(normal.nonLocalPart == nil)
        #expect(normal.localPart == nil)
        #expect(normal.mailbox == "worker")
    }

    @Test func theErrorShowsRuleAndName() {
        let error = #expect(throws: LayerError.self) { try GroupName("a\nb c") }
        #expect(error?.code == .invalidName)
        #expect(error?.message == #""a\nb c" is no group name: wanted 1 to 99 characters of A-Z a-z 0-9 - _ ."#)
        let combining = "e" + String(repeating: "\u{301}", count: 100_000)
        let long = #expect(throws: LayerError.self) { try ChannelName(combining) }
        #expect((long?.message.utf8.count ?? 0) < 1_200, "whoever sends a huge name does not fill the log")
        #expect(long?.message.contains("(200001 bytes)") == true)
    }
}

/// A vector file as Swift values. Ends the run when it cannot be read, because nothing would be tested then.
func vectors<Value: Decodable>(_ type: Value.Type, _ file: String) -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(Vectors.bytes(file).readableBytesView))
    } catch {
        fatalError("Tests/Vectors/\(file): \(error)")
    }
}

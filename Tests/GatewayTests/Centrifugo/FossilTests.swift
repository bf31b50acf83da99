import TestSupport
import Testing

@testable import Gateway

@Suite struct FossilTests {
    /// Applies a patch, by the format's description alone; `nil` when it cannot be.
    static func apply(_ patch: [UInt8], to source: [UInt8], insert: ([UInt8]) -> Void = { _ in }) -> [UInt8]? {
        let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~".utf8)
        var rest = patch[...]
        func number() -> Int? {
            var value: Int?
            while let byte = rest.first, let digit = letters.firstIndex(of: byte) {
                value = (value ?? 0) * 64 + digit
                rest.removeFirst()
            }
            return value
        }
        guard let size = number(), rest.popFirst() == UInt8(ascii: "\n") else { return nil }
        var target: [UInt8] = []
        while let count = number(), let command = rest.popFirst() {
            switch command {
            case UInt8(ascii: "@"):
                guard let offset = number(), rest.popFirst() == UInt8(ascii: ","), offset + count <= source.count else {
                    return nil
                }
                target += source[offset..<(offset + count)]
            case UInt8(ascii: ":"):
                guard rest.count >= count else { return nil }
                insert(Array(rest.prefix(count)))
                target += rest.prefix(count)
                rest = rest.dropFirst(count)
            case UInt8(ascii: ";"):
                var sum: UInt32 = 0
                for start in stride(from: 0, to: target.count, by: 4) {
                    var word: UInt32 = 0
                    for index in start..<(start + 4) {
                        word = word << 8 | UInt32(index < target.count ? target[index] : 0)
                    }
                    sum &+= word
                }
                return target.count == size && Int(sum) == count && rest.isEmpty ? target : nil
            default: return nil
            }
        }
        return nil
    }

    @Test func thePatchOfNothingIsWhatTheFormatSays() {
        #expect(Fossil.patch(from: [], to: []) == Array("0\n0;".utf8))
        // "abcd" is one word, which is its own sum.
        #expect(String(decoding: Fossil.patch(from: [], to: Array("abcd".utf8)), as: UTF8.self) == "4\n4:abcd1XObD_;")
        let text = Array("the same text as before, and long enough".utf8)
        let patch = String(decoding: Fossil.patch(from: text, to: text), as: UTF8.self)
        #expect(patch.hasPrefix("d\nd@0,") && patch.hasSuffix(";"))
    }

    /// Made by `fossil test-delta-create` 2.21: what is applied here is the format, and not our own idea of it. The original
    /// cuts characters (the second one), which ours must not, and may cost some bytes.
    @Test(arguments: [
        (
            "The gateway holds the sockets of browsers, and the router holds none.",
            "The gateway holds the sockets of ten browsers, and the router holds none.",
            Array("19\nX@0,3:tena@W,s4DYe;".utf8)
        ),
        (
            "привет, мир: сообщение номер один из многих сообщений",
            "привет, мир: сообщение номер два из многих сообщений",
            Array("1V\nq@0,5:".utf8) + [0xB4, 0xD0, 0xB2, 0xD0, 0xB0] + Array("a@x,1DzdB1;".utf8)
        ),
        (
            #"{"jobs":[{"id":1,"state":"running","done":17},{"id":2,"state":"waiting","done":0}]}"#,
            #"{"jobs":[{"id":2,"state":"running","done":1},{"id":1,"state":"running","done":18}],"at":"12:00"}"#,
            Array(#"1W\#n9:{"jobs":[H@j,J:running","done":1},Y@9,H:8}],"at":"12:00"}2bvUbb;"#.utf8)
        ),
    ]) func patchesOfTheOriginalAreUnderstoodAndOursAreAsShort(source: String, target: String, patch: [UInt8]) {
        let (source, target) = (Array(source.utf8), Array(target.utf8))
        #expect(Self.apply(patch, to: source) == target)
        let ours = Fossil.patch(from: source, to: target)
        #expect(Self.apply(ours, to: source) == target)
        #expect(ours.count <= patch.count + 8, "\(String(decoding: ours, as: UTF8.self))")
    }

    @Test func aChangeInTheMiddleOfALongTextIsAShortPatch() {
        let source = (0..<200).map { #"{"id":\#($0),"name":"item \#($0 * 7)"}"# }.joined(separator: ",")
        var target = source.replacing("\"item 700\"", with: "\"another one\"")
        target = "[" + target.replacing("\"item 7\"", with: "\"x\"") + "]"
        let patch = Fossil.patch(from: Array(source.utf8), to: Array(target.utf8))
        #expect(Self.apply(patch, to: Array(source.utf8)) == Array(target.utf8))
        #expect(patch.count < 120, "\(patch.count) bytes")
    }

    @Test func textThatMovedIsFound() {
        let parts = (0..<10).map { part in String(repeating: "part \(part) has something of its own; ", count: 3) }
        let (source, target) = (parts.joined(), parts.reversed().joined())
        let patch = Fossil.patch(from: Array(source.utf8), to: Array(target.utf8))
        #expect(Self.apply(patch, to: Array(source.utf8)) == Array(target.utf8))
        #expect(patch.count < target.utf8.count / 4, "\(patch.count) bytes")
    }

    @Test func noCharacterIsEverCut() {
        var generator = SeededGenerator(seed: 13)
        let letters = Array("abcабвгд\u{e9}\u{20ac}\u{1F600}\u{1F601} ".unicodeScalars)
        for _ in 0..<300 {
            let source = String(
                String.UnicodeScalarView(
                    (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                        letters.randomElement(using: &generator) ?? "a"
                    }))
            var scalars = Array(source.unicodeScalars)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0...scalars.count, using: &generator)
                scalars.insert(letters.randomElement(using: &generator) ?? "a", at: place)
                if scalars.count > 3 { scalars.remove(at: Int.random(in: 0..<scalars.count, using: &generator)) }
            }
            let target = String(String.UnicodeScalarView(scalars))
            let patch = Fossil.patch(from: Array(source.utf8), to: Array(target.utf8))
            #expect(String(validating: patch, as: UTF8.self) != nil)
            let made = Self.apply(patch, to: Array(source.utf8)) { inserted in
                #expect(String(validating: inserted, as: UTF8.self) != nil, "a character was cut")
            }
            #expect(made == Array(target.utf8))
        }
    }

    @Test func anyBytesComeBack() {
        let corpus = [
            Array(repeating: UInt8(0x80), count: 400), Array("hello".utf8), [], (0...255).map { UInt8($0) },
            Array(repeating: Array("abcdefghijklmnop".utf8), count: 40).flatMap { $0 },
        ]
        var mutator = Mutator(corpus: corpus, interesting: [0, 0x80, 0xBF, 0xC0, 0x61], seed: 14)
        for _ in 0..<600 {
            let (source, target) = (mutator.next(), mutator.next())
            #expect(Self.apply(Fossil.patch(from: source, to: target), to: source) == target)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aSourceOfEqualBlocksCostsNoMoreThanOthers() {
        let source = Array(repeating: UInt8(0x61), count: 60_000)
        let target = Array(repeating: Array("aaaaaaaaaaaaaaaaaaaaaaaab".utf8), count: 600).flatMap { $0 }
        #expect(Self.apply(Fossil.patch(from: source, to: target), to: source) == target)
    }
}

/// Makes broken inputs out of good ones: the same ones in every run, for a bounded number of rounds.
///
/// A fuzz test keeps a corpus of good inputs, and of bad ones that once did harm; whatever comes out of the mutator, the
/// parser must answer or throw.
public struct Mutator {
    private var generator: SeededGenerator
    private let corpus: [[UInt8]]
    private let interesting: [UInt8]

    /// - Parameter interesting: bytes that mean something in the format; half of the new bytes are taken from them.
    public init(corpus: [[UInt8]], interesting: [UInt8], seed: UInt64) {
        self.corpus = corpus
        self.interesting = interesting
        self.generator = SeededGenerator(seed: seed)
    }

    /// One input: a corpus entry with one to eight changes, mostly few.
    public mutating func next() -> [UInt8] {
        var input = self.corpus.randomElement(using: &self.generator) ?? []
        let most = Int.random(in: 1...8, using: &self.generator)
        for _ in 0..<Int.random(in: 1...most, using: &self.generator) { self.change(&input) }
        return input
    }

    private mutating func change(_ input: inout [UInt8]) {
        let place = Int.random(in: 0...input.count, using: &self.generator)
        switch Int.random(in: 0..<7, using: &self.generator) {
        case 0 where place < input.count: input[place] = self.byte()
        case 1 where place < input.count: input[place] ^= 1 << UInt8.random(in: 0..<8, using: &self.generator)
        case 2 where place < input.count: input.removeSubrange(place..<min(place + self.length(), input.count))
        case 3: input.insert(contentsOf: (0..<self.length()).map { _ in self.byte() }, at: place)
        case 4: input.removeSubrange(place...)
        case 5 where place < input.count:
            let piece = Array(input[place..<min(place + self.length(), input.count)])
            input.insert(contentsOf: piece, at: Int.random(in: 0...input.count, using: &self.generator))
        default:
            let other = self.corpus.randomElement(using: &self.generator) ?? []
            let start = Int.random(in: 0...other.count, using: &self.generator)
            input.insert(contentsOf: other[start..<min(start + self.length(), other.count)], at: place)
        }
    }

    private mutating func length() -> Int { Int.random(in: 1...9, using: &self.generator) }

    private mutating func byte() -> UInt8 {
        if Bool.random(using: &self.generator), let byte = self.interesting.randomElement(using: &self.generator) {
            return byte
        }
        return UInt8.random(in: 0...255, using: &self.generator)
    }
}

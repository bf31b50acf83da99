/// Patches in the format of the Fossil version control system, which SDKs of the Centrifugo client protocol apply:
///
///     <target's size>\n  then <length>@<offset>,  a copy from the source  or  <length>:<bytes>  new ones  …  <checksum>;
///
/// Numbers have the base 64. The source is cut into blocks of 16 bytes, which are found by their hash under a window that
/// rolls over the target; what is found is made as long as it can be, in both directions.
///
/// In JSON a patch travels as a text, so new bytes never begin or end within a character of UTF-8. SDKs count in bytes.
enum Fossil {
    /// Bytes of a block; less is not looked for.
    private static let block = 16
    /// Blocks of one hash that are tried, so that a source of equal blocks costs no more than others; and from this length
    /// on a match is good enough.
    private static let candidates = 64
    private static let enough = 1_024

    /// What makes `target` of `source`. May be longer than the target, when both have little in common.
    ///
    /// - Complexity: about linear in both sizes.
    static func patch(from source: [UInt8], to target: [UInt8]) -> [UInt8] {
        var patch = Patch(target)
        let index = BlockIndex(source, block: Self.block)
        var done = 0
        while done < target.count {
            guard let found = Self.match(source, target, index, from: done) else {
                patch.insert(done..<target.count)
                break
            }
            if found.start > done { patch.insert(done..<found.start) }
            patch.copy(found.length, at: found.offset)
            done = found.start + found.length
        }
        return patch.finish()
    }

    /// A run of the target that is in the source, too.
    private struct Match {
        /// In the target.
        var start: Int
        var length: Int
        /// In the source.
        var offset: Int
    }

    /// The first match from `done` on that saves something.
    private static func match(_ source: [UInt8], _ target: [UInt8], _ index: BlockIndex, from done: Int) -> Match? {
        guard done + Self.block <= target.count, !index.isEmpty else { return nil }
        var hash = RollingHash(target[done..<(done + Self.block)])
        var start = done
        while true {
            var best: Match?
            var tried = 0
            var candidate = index.first(hash.value)
            while candidate >= 0, tried < Self.candidates, best?.length ?? 0 < Self.enough {
                let match = Self.extend(
                    source, target, Match(start: start, length: 0, offset: candidate * Self.block), done)
                let cost = 2 + Patch.digits(match.length) + Patch.digits(match.offset)
                if match.length > max(cost, best?.length ?? 0) { best = match }
                candidate = index.next(candidate)
                tried += 1
            }
            if let best { return best }
            guard start + Self.block < target.count else { return nil }
            hash.roll(out: target[start], in: target[start + Self.block])
            start += 1
        }
    }

    /// As long as source and target are equal around the place of a match, but not before `done`, and not within a
    /// character.
    private static func extend(_ source: [UInt8], _ target: [UInt8], _ place: Match, _ done: Int) -> Match {
        var match = place
        while match.start + match.length < target.count, match.offset + match.length < source.count,
            source[match.offset + match.length] == target[match.start + match.length]
        { match.length += 1 }
        while match.start > done, match.offset > 0, source[match.offset - 1] == target[match.start - 1] {
            match.start -= 1
            match.offset -= 1
            match.length += 1
        }
        while match.length > 0, Self.isWithinCharacter(target, match.start) {
            match.start += 1
            match.offset += 1
            match.length -= 1
        }
        while match.length > 0, Self.isWithinCharacter(target, match.start + match.length) { match.length -= 1 }
        return match
    }

    private static func isWithinCharacter(_ text: [UInt8], _ index: Int) -> Bool {
        index < text.count && text[index] & 0xC0 == 0x80
    }
}

/// Where blocks with a hash stand in a source.
private struct BlockIndex {
    /// By the hash's lower bits: the last block with it, -1 for none.
    private var heads: [Int32] = []
    /// By block: the one before it with the same bits.
    private var links: [Int32] = []

    init(_ source: [UInt8], block: Int) {
        let count = source.count / block
        guard count > 0, count < Int(Int32.max) else { return }
        var room = 1
        while room < count { room <<= 1 }
        self.heads = Array(repeating: -1, count: room)
        self.links = Array(repeating: -1, count: count)
        for number in 0..<count {
            let start = number * block
            let place = self.place(RollingHash(source[start..<(start + block)]).value)
            self.links[number] = self.heads[place]
            self.heads[place] = Int32(truncatingIfNeeded: number)
        }
    }

    var isEmpty: Bool { self.links.isEmpty }

    /// A block that may have the hash; -1 when none has.
    func first(_ hash: UInt32) -> Int { Int(self.heads[self.place(hash)]) }

    func next(_ block: Int) -> Int { Int(self.links[block]) }

    private func place(_ hash: UInt32) -> Int { Int(hash ^ hash >> 16) & (self.heads.count - 1) }
}

/// A hash of a window of bytes that costs nothing to move on.
private struct RollingHash {
    private var sum: UInt16 = 0
    private var weighted: UInt16 = 0
    private let length: UInt16

    init(_ window: ArraySlice<UInt8>) {
        self.length = UInt16(truncatingIfNeeded: window.count)
        for byte in window {
            self.sum &+= UInt16(byte)
            self.weighted &+= self.sum
        }
    }

    var value: UInt32 { UInt32(self.sum) | UInt32(self.weighted) << 16 }

    mutating func roll(out old: UInt8, in new: UInt8) {
        self.sum = self.sum &- UInt16(old) &+ UInt16(new)
        self.weighted = self.weighted &- self.length &* UInt16(old) &+ self.sum
    }
}

/// A patch that is being written.
private struct Patch {
    private let target: [UInt8]
    private var bytes: [UInt8] = []

    private static let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~".utf8)

    init(_ target: [UInt8]) {
        self.target = target
        self.number(UInt64(target.count), "\n")
    }

    mutating func insert(_ range: Range<Int>) {
        self.number(UInt64(range.count), ":")
        self.bytes += self.target[range]
    }

    mutating func copy(_ length: Int, at offset: Int) {
        self.number(UInt64(length), "@")
        self.number(UInt64(offset), ",")
    }

    mutating func finish() -> [UInt8] {
        self.number(UInt64(self.checksum), ";")
        return self.bytes
    }

    /// How many a number has.
    static func digits(_ value: Int) -> Int { max(1, (Int.bitWidth - value.leadingZeroBitCount + 5) / 6) }

    private mutating func number(_ value: UInt64, _ end: Unicode.Scalar) {
        var digits: [UInt8] = []
        var rest = value
        repeat {
            digits.append(Self.letters[Int(rest & 63)])
            rest >>= 6
        } while rest > 0
        self.bytes += digits.reversed()
        self.bytes.append(UInt8(ascii: end))
    }

    /// The sum of the target's words of four bytes, the highest first; what is missing of the last one is zeros.
    private var checksum: UInt32 {
        var sum: UInt32 = 0
        for (index, byte) in self.target.enumerated() { sum &+= UInt32(byte) << UInt32(24 - 8 * (index & 3)) }
        return sum
    }
}

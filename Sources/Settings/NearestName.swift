/// Finds what a person may have meant.
package enum NearestName {
    /// The name with the fewest edits to `text`; `nil` when even that would be another word.
    ///
    /// - Complexity: O(names × length²); names and `text` are cut at 64 characters.
    package static func of(_ text: String, among names: some Sequence<String>) -> String? {
        let wanted = Array(text.lowercased().prefix(64))
        let limit = max(1, min(4, wanted.count / 3))
        var best: (name: String, edits: Int)?
        for name in names {
            let edits = self.edits(wanted, Array(name.lowercased().prefix(64)))
            if edits <= limit, edits < best?.edits ?? .max { best = (name, edits) }
        }
        return best?.name
    }

    /// Letters to add, drop, change or swap with their neighbour (optimal string alignment).
    private static func edits(_ one: [Character], _ other: [Character]) -> Int {
        guard !one.isEmpty, !other.isEmpty else { return max(one.count, other.count) }
        var beforeLast = [Int](repeating: 0, count: other.count + 1)
        var last = Array(0...other.count)
        for row in 1...one.count {
            var current = [row] + [Int](repeating: 0, count: other.count)
            for column in 1...other.count {
                let isSame = one[row - 1] == other[column - 1]
                current[column] = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (isSame ? 0 : 1))
                if row > 1, column > 1, one[row - 1] == other[column - 2], one[row - 2] == other[column - 1] {
                    current[column] = min(current[column], beforeLast[column - 2] + 1)
                }
            }
            beforeLast = last
            last = current
        }
        return last[other.count]
    }
}

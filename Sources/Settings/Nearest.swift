/// Finds what somebody probably meant.
package enum Nearest {
    /// The name that takes the fewest changes from `name`; `nil` when none is near.
    package static func name(to name: String, among names: [String]) -> String? {
        let limit = max(name.count / 3, 2)
        return names.map { ($0, Self.distance(name, $0)) }.min { $0.1 < $1.1 }.flatMap { $0.1 <= limit ? $0.0 : nil }
    }

    /// How many letters must be put in, taken out or exchanged.
    private static func distance(_ one: String, _ other: String) -> Int {
        let (one, other) = (Array(one.prefix(100)), Array(other.prefix(100)))
        var row = Array(0...other.count)
        for (line, letter) in one.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for (column, candidate) in other.enumerated() {
                let above = row[column + 1]
                row[column + 1] = min(above + 1, row[column] + 1, diagonal + (letter == candidate ? 0 : 1))
                diagonal = above
            }
        }
        return row[other.count]
    }
}

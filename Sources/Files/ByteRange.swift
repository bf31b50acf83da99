/// What a `Range` field asks for (RFC 9110 section 14.2). Only a single range of bytes is served in part.
package enum ByteRange: Equatable {
    /// No range, or one we don't serve in part: the whole file.
    case whole
    /// From the first byte wanted to the one after the last.
    case part(Range<Int>)
    /// It begins after the end: 416.
    case unsatisfiable

    package init(_ field: String?, size: Int) {
        self = .whole
        guard let field, field.hasPrefix("bytes="), !field.contains(",") else { return }
        let bounds = field.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard bounds.count == 2 else { return }
        let (first, last) = (ByteRange.number(bounds[0]), ByteRange.number(bounds[1]))
        switch (first, last) {
        case (let first?, let last) where last != nil || bounds[1].isEmpty:
            if let last, last < first { return }  // not a range at all: ignored, as the RFC asks
            let end = min(size, last.map { $0 < size ? $0 + 1 : size } ?? size)
            self = first < size ? .part(first..<end) : .unsatisfiable
        case (nil, let suffix?) where bounds[0].isEmpty:
            self = suffix > 0 && size > 0 ? .part(max(0, size - suffix)..<size) : .unsatisfiable
        default:
            return
        }
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}

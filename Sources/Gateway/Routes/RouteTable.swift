import HTTP1

/// Finds the route of a path.
///
/// A tree over the segments of all patterns. At each segment a literal is tried before a capture, so that
/// `/channels/rooms/lobby` wins over `/channels/rooms/{room}`; of two patterns of the same shape the first wins.
package struct RouteTable: Sendable {
    /// A path that has a route.
    package struct Match: Hashable, Sendable {
        /// Which of the patterns, by its place in the list the table was made of.
        package let route: Int
        /// The captured segments in the order of `PathPattern.captureNames`, percent-decoded.
        package let captures: [String]
    }

    private struct Node: Sendable {
        var literals: [String: Int] = [:]
        var capture: Int?
        var route: Int?
    }

    private var nodes: [Node] = [Node()]

    /// - Parameters:
    ///   - patterns: the routes' paths, in the order they were declared.
    ///   - prefix: the sub-directory the site lives in, `""` or `"/site"`, before every pattern.
    /// - Throws: a prefix that is no path, or has captures.
    package init(_ patterns: [PathPattern], prefix: String = "") throws(RouteError) {
        let prefixed = try Self.prefixSegments(prefix)
        for (route, pattern) in patterns.enumerated() {
            var at = 0
            for segment in prefixed + pattern.segments { at = self.child(of: at, segment) }
            self.nodes[at].route = self.nodes[at].route ?? route
        }
    }

    private static func prefixSegments(_ prefix: String) throws(RouteError) -> [PathPattern.Segment] {
        var trimmed = prefix[...]
        while trimmed.last == "/" { trimmed = trimmed.dropLast() }
        guard !trimmed.isEmpty else { return [] }
        let pattern = try PathPattern(String(trimmed))
        guard pattern.captureNames.isEmpty else { throw RouteError("a prefix has no captures") }
        return pattern.segments
    }

    private mutating func child(of parent: Int, _ segment: PathPattern.Segment) -> Int {
        let known: Int? =
            switch segment {
            case .literal(let text): self.nodes[parent].literals[text]
            case .capture: self.nodes[parent].capture
            }
        if let known { return known }
        self.nodes.append(Node())
        let new = self.nodes.count - 1
        switch segment {
        case .literal(let text): self.nodes[parent].literals[text] = new
        case .capture: self.nodes[parent].capture = new
        }
        return new
    }

    /// The route of a request path as it came, still percent-encoded and without the query; `nil` when there is none,
    /// or when a segment is no percent-encoded UTF-8.
    ///
    /// A segment is decoded after the path was cut, so that `%2F` never makes two segments of one.
    ///
    /// - Complexity: at most one visit per node of the table, usually one per segment.
    package func match(_ path: String) -> Match? {
        guard path.utf8.first == UInt8(ascii: "/") else { return nil }
        // By bytes: of characters a slash could be one with the accent behind it.
        let parts = path.utf8.dropFirst().split(
            separator: UInt8(ascii: "/"), maxSplits: PathPattern.segmentLimit * 2, omittingEmptySubsequences: false)
        // Twice the limit of a pattern, since a prefix comes before it.
        guard parts.count <= PathPattern.segmentLimit * 2 else { return nil }
        var segments: [String] = []
        segments.reserveCapacity(parts.count)
        for part in parts {
            guard let segment = try? PercentEncoding.decode(Substring(part)) else { return nil }
            segments.append(segment)
        }
        var captures: [String] = []
        guard let route = self.walk(from: 0, segments[...], &captures) else { return nil }
        return Match(route: route, captures: captures)
    }

    /// Depth is bounded by the number of segments.
    private func walk(from index: Int, _ segments: ArraySlice<String>, _ captures: inout [String]) -> Int? {
        let node = self.nodes[index]
        guard let segment = segments.first else { return node.route }
        if let literal = node.literals[segment], let route = self.walk(from: literal, segments.dropFirst(), &captures) {
            return route
        }
        guard let capture = node.capture, !segment.isEmpty else { return nil }
        captures.append(segment)
        if let route = self.walk(from: capture, segments.dropFirst(), &captures) { return route }
        captures.removeLast()
        return nil
    }
}

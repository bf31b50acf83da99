import HTTP1

/// The path of a route: `/channels/updates/` or `/channels/rooms/{room}/{kind}`.
///
/// A literal segment matches itself, also when the browser percent-encoded it. A capture matches one segment that is
/// not empty and hands it on percent-decoded. The slash at the end counts, as in Django's patterns.
package struct PathPattern: Hashable, Sendable {
    package enum Segment: Hashable, Sendable {
        case literal(String)
        case capture(String)
    }

    /// Segments of a path at most, of a pattern and of a request.
    package static let segmentLimit = 32

    /// As it was written.
    package let text: String
    /// The parts between the slashes; the last one is an empty literal when the path ends with a slash.
    package let segments: [Segment]

    /// Names of the captures, in order.
    package var captureNames: [String] {
        self.segments.compactMap { if case .capture(let name) = $0 { name } else { nil } }
    }

    /// - Throws: what cannot stand: no slash at the beginning, `?` or `#`, a brace that is no whole segment, two
    ///   captures of one name, more than 32 segments.
    package init(_ text: String) throws(RouteError) {
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw RouteError("a path begins with a slash, for example \"/channels/updates/\"")
        }
        guard
            !text.utf8.contains(where: {
                $0 <= 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#")
            })
        else {
            throw RouteError("a path has no white space, \"?\" or \"#\"; the query is for templates: {query.NAME}")
        }
        let parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= Self.segmentLimit else {
            throw RouteError("\(parts.count) segments are too many, wanted at most \(Self.segmentLimit)")
        }
        var names: Set<String> = []
        var segments: [Segment] = []
        for part in parts {
            let segment = try Self.segment(part)
            if case .capture(let name) = segment, !names.insert(name).inserted {
                throw RouteError("{\(name)} is captured twice, wanted a name of its own for each")
            }
            segments.append(segment)
        }
        self.text = text
        self.segments = segments
    }

    private static func segment(_ part: Substring) throws(RouteError) -> Segment {
        guard part.contains(where: { $0 == "{" || $0 == "}" }) else {
            guard let literal = try? PercentEncoding.decode(part) else {
                throw RouteError("\"\(part)\" is not percent-encoded UTF-8")
            }
            return .literal(literal)
        }
        let name = part.dropFirst().dropLast()
        guard part.first == "{", part.last == "}", Template.isName(name) else {
            throw RouteError(
                "\"\(part)\" is no capture, wanted {NAME} as a whole segment; NAME is made of letters, digits and \"_\""
            )
        }
        guard !Template.reservedNames.contains(String(name)) else {
            throw RouteError("{\(name)} has a meaning of its own in templates, wanted another name for the capture")
        }
        return .capture(String(name))
    }
}

/// Which publications of a channel a subscriber wants, by their tags: what it said, checked and ready to be asked.
///
/// Asked once per publication for all who said the same.
struct TagsFilter: Hashable, Sendable {
    /// As it was said.
    let source: ClientFilter

    private enum Text: String, Sendable {
        case equal = "eq", unequal = "neq", begins = "sw", ends = "ew", contains = "ct"
    }
    private enum Order: String, Sendable {
        case greater = "gt", greaterOrEqual = "gte", less = "lt", lessOrEqual = "lte"
    }
    private indirect enum Node: Hashable, Sendable {
        case text(String, Text, String)
        /// Of another text than a number nothing is true.
        case number(String, Order, String)
        case isOneOf(String, Set<String>, Bool)
        case exists(String, Bool)
        case all([Node])
        case any([Node])
        case not(Node)
    }

    private let root: Node

    /// Nodes of a filter, so that a publication costs a bounded time.
    static let nodeLimit = 100

    /// - Throws: `badRequest` for one that makes no sense.
    init(_ filter: ClientFilter) throws(ClientError) {
        var room = Self.nodeLimit
        self.source = filter
        self.root = try Self.node(filter, &room)
    }

    /// Two that ask the same are one, however they were said.
    static func == (one: TagsFilter, other: TagsFilter) -> Bool { one.root == other.root }
    func hash(into hasher: inout Hasher) { hasher.combine(self.root) }

    func matches(_ tags: [String: String]) -> Bool { Self.isTrue(self.root, tags) }

    // MARK: Making

    /// Recursion is bounded by the number of nodes.
    private static func node(_ filter: ClientFilter, _ room: inout Int) throws(ClientError) -> Node {
        room -= 1 + filter.values.count
        guard room >= 0 else { throw .badRequest }
        var nodes: [Node] = []
        if !filter.op.isEmpty { for each in filter.nodes { nodes.append(try self.node(each, &room)) } }
        switch filter.op {
        case "": return try self.leaf(filter)
        case "and" where !nodes.isEmpty: return .all(nodes)
        case "or" where !nodes.isEmpty: return .any(nodes)
        case "not" where nodes.count == 1: return .not(nodes[0])
        default: throw .badRequest
        }
    }

    private static func leaf(_ filter: ClientFilter) throws(ClientError) -> Node {
        let (hasValue, hasValues) = (!filter.value.isEmpty, !filter.values.isEmpty)
        switch filter.comparison {
        case "ex", "nex":
            guard !hasValue, !hasValues else { throw .badRequest }
            return .exists(filter.key, filter.comparison == "ex")
        case "in", "nin":
            guard !filter.key.isEmpty, !hasValue, hasValues else { throw .badRequest }
            return .isOneOf(filter.key, Set(filter.values), filter.comparison == "in")
        default:
            guard !filter.key.isEmpty, hasValue, !hasValues else { throw .badRequest }
            if let order = Order(rawValue: filter.comparison) { return .number(filter.key, order, filter.value) }
            guard let comparison = Text(rawValue: filter.comparison) else { throw .badRequest }
            return .text(filter.key, comparison, filter.value)
        }
    }

    // MARK: Asking

    private static func isTrue(_ node: Node, _ tags: [String: String]) -> Bool {
        switch node {
        case .all(let nodes): nodes.allSatisfy { self.isTrue($0, tags) }
        case .any(let nodes): nodes.contains { self.isTrue($0, tags) }
        case .not(let node): !self.isTrue(node, tags)
        case .exists(let key, let wanted): (tags[key] != nil) == wanted
        // What is not there is an empty text here.
        case .isOneOf(let key, let values, let wanted): values.contains(tags[key] ?? "") == wanted
        case .text(let key, let comparison, let value): self.isTrue(tags[key], comparison, value)
        case .number(let key, let order, let value): self.isTrue(tags[key], order, value)
        }
    }

    private static func isTrue(_ tag: String?, _ comparison: Text, _ value: String) -> Bool {
        guard let tag else { return comparison == .unequal }
        // By bytes: two spellings of one character are two texts.
        return switch comparison {
        case .equal: tag.utf8.elementsEqual(value.utf8)
        case .unequal: !tag.utf8.elementsEqual(value.utf8)
        case .begins: tag.utf8.starts(with: value.utf8)
        case .ends: tag.utf8.reversed().starts(with: value.utf8.reversed())
        case .contains: Array(tag.utf8).contains(Array(value.utf8))
        }
    }

    private static func isTrue(_ tag: String?, _ order: Order, _ value: String) -> Bool {
        guard let one = tag.flatMap(ExactDecimal.init), let other = ExactDecimal(value) else { return false }
        return switch order {
        case .greater: one > other
        case .greaterOrEqual: one >= other
        case .less: one < other
        case .lessOrEqual: one <= other
        }
    }
}

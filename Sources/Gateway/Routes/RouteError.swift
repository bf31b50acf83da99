/// What is wrong with a part of a route, for the person who wrote it: what was found and what is wanted.
package struct RouteError: Error, Sendable, Hashable, CustomStringConvertible {
    package let message: String
    package var description: String { self.message }

    package init(_ message: String) { self.message = message }
}

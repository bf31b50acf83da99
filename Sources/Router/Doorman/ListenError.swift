/// An address that cannot be listened on: which, and why.
package struct ListenError: Error, CustomStringConvertible, Sendable {
    package var address: String
    package var problem: String

    package var description: String { "cannot listen on \(self.address): \(self.problem)" }
}

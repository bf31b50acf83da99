/// A text that was to be an address or a range of addresses, for the person who wrote it.
package struct AddressError: Error, Sendable, Hashable, CustomStringConvertible {
    package let message: String
    package var description: String { self.message }

    package init(_ message: String) { self.message = message }
}

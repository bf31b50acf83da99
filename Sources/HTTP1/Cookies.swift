/// The cookies of a request (RFC 6265 section 5.4), found when they are asked for: nothing is taken apart before.
///
/// Tolerant, as applications are: a pair without `=` is passed over, and so are fields that follow no grammar at all. What a
/// look-up costs is bounded by the size of the head.
public struct Cookies: Sendable {
    private let fields: HeaderFields

    public init(_ fields: HeaderFields) { self.fields = fields }

    /// The value of the cookie called `name`, as it came but for white space and a pair of double quotes around it. Of
    /// several the last one, as Django takes them. Case counts.
    public subscript(_ name: String) -> String? { self.values(name).last }

    /// The values of all cookies called `name`, in order: browsers send one for each path and domain that has it.
    public func values(_ name: String) -> [String] {
        var values: [String] = []
        _ = self.fields.anyValue(of: .cookie) { field in
            for pair in field.split(separator: UInt8(ascii: ";")) {
                guard let equals = pair.firstIndex(of: UInt8(ascii: "=")) else { continue }
                let found = FieldBytes.trimmed(UnsafeRawBufferPointer(rebasing: pair[..<equals]))
                guard found.elementsEqual(name.utf8) else { continue }
                let value = FieldBytes.trimmed(UnsafeRawBufferPointer(rebasing: pair[(equals &+ 1)...]))
                values.append(Self.unquoted(value))
            }
            return false
        }
        return values
    }

    private static func unquoted(_ value: UnsafeRawBufferPointer) -> String {
        guard value.count >= 2, value.first == UInt8(ascii: "\""), value.last == UInt8(ascii: "\"") else {
            return FieldBytes.text(value)
        }
        return FieldBytes.text(UnsafeRawBufferPointer(rebasing: value[1..<(value.count &- 1)]))
    }
}

package import NIOCore

/// How JSON is written.
package struct JSONStyle: Sendable {
    package var itemSeparator: StaticString
    package var keySeparator: StaticString
    /// Everything above 0x7F as `\uXXXX`.
    package var escapesNonASCII: Bool
    /// `NaN`, `Infinity`, `-Infinity` by name, which no JSON reader but Python's takes; otherwise they are `null`.
    package var namesNonFinite: Bool

    /// As short as it can be, in UTF-8.
    package static let compact = JSONStyle(
        itemSeparator: ",", keySeparator: ":", escapesNonASCII: false, namesNonFinite: false)
    /// As Python's `json.dumps` does by default.
    package static let python = JSONStyle(
        itemSeparator: ", ", keySeparator: ": ", escapesNonASCII: true, namesNonFinite: true)
}

extension ByteBuffer {
    /// Writes a number with the digits Python writes: the fewest that read back the same.
    package mutating func writeJSONNumber(_ value: Double, style: JSONStyle = .compact) {
        if value.isFinite {
            self.writeString(PythonNumber.text(of: value))
        } else if !style.namesNonFinite {
            self.writeStaticString("null")
        } else if value.isNaN {
            self.writeStaticString("NaN")
        } else {
            self.writeStaticString(value < 0 ? "-Infinity" : "Infinity")
        }
    }

    /// Writes a tree.
    package mutating func writeJSON(_ value: JSONValue, style: JSONStyle = .compact) {
        switch value.kind {
        case .null: self.writeStaticString("null")
        case .bool(let value): self.writeStaticString(value ? "true" : "false")
        case .integer(let value): self.writeString(String(value))
        case .unsigned(let value): self.writeString(String(value))
        case .double(let value): self.writeJSONNumber(value, style: style)
        case .string(let value): self.writeJSONString(value, style: style)
        case .array(let elements):
            self.writeInteger(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { self.writeStaticString(style.itemSeparator) }
                self.writeJSON(element, style: style)
            }
            self.writeInteger(UInt8(ascii: "]"))
        case .object(let members):
            self.writeInteger(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { self.writeStaticString(style.itemSeparator) }
                self.writeJSONString(member.key, style: style)
                self.writeStaticString(style.keySeparator)
                self.writeJSON(member.value, style: style)
            }
            self.writeInteger(UInt8(ascii: "}"))
        }
    }
}

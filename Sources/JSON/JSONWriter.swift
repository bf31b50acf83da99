package import NIOCore

/// How JSON is written.
package struct JSONStyle: Sendable {
    package var itemSeparator: StaticString
    package var keySeparator: StaticString
    /// Everything above 0x7F as `\uXXXX`.
    package var escapesNonASCII: Bool

    /// As short as it can be, in UTF-8.
    package static let compact = JSONStyle(itemSeparator: ",", keySeparator: ":", escapesNonASCII: false)
    /// As Python's `json.dumps` does by default.
    package static let python = JSONStyle(itemSeparator: ", ", keySeparator: ": ", escapesNonASCII: true)
}

extension ByteBuffer {
    /// Writes a string with its quotation marks.
    package mutating func writeJSONString(_ text: some StringProtocol, style: JSONStyle = .compact) {
        self.writeInteger(UInt8(ascii: "\""))
        if style.escapesNonASCII {
            for unit in text.utf16 { self.writeJSONUnit(unit) }
        } else {
            for byte in text.utf8 {
                if byte < 0x80 { self.writeJSONUnit(UInt16(byte)) } else { self.writeInteger(byte) }
            }
        }
        self.writeInteger(UInt8(ascii: "\""))
    }

    private mutating func writeJSONUnit(_ unit: UInt16) {
        switch unit {
        case 0x22: self.writeStaticString("\\\"")
        case 0x5C: self.writeStaticString("\\\\")
        case 0x08: self.writeStaticString("\\b")
        case 0x0C: self.writeStaticString("\\f")
        case 0x0A: self.writeStaticString("\\n")
        case 0x0D: self.writeStaticString("\\r")
        case 0x09: self.writeStaticString("\\t")
        case 0x20...0x7E: self.writeInteger(UInt8(truncatingIfNeeded: unit))
        // Python leaves 0x7F as it is.
        case 0x7F: self.writeInteger(UInt8(0x7F))
        default:
            self.writeStaticString("\\u")
            for shift in [12, 8, 4, 0] as [UInt16] {
                let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
                self.writeInteger(digit < 10 ? digit &+ UInt8(ascii: "0") : digit &+ UInt8(ascii: "a") &- 10)
            }
        }
    }

    /// Writes a number the way Python does; `NaN` and `Infinity` as Python's JSON has them.
    package mutating func writeJSONNumber(_ value: Double) {
        if value.isNaN {
            self.writeStaticString("NaN")
        } else if value.isInfinite {
            self.writeStaticString(value < 0 ? "-Infinity" : "Infinity")
        } else {
            self.writeString(PythonNumber.text(of: value))
        }
    }

    /// Writes a tree.
    package mutating func writeJSON(_ value: JSONValue, style: JSONStyle = .compact) {
        switch value.kind {
        case .null: self.writeStaticString("null")
        case .bool(let value): self.writeStaticString(value ? "true" : "false")
        case .integer(let value): self.writeString(String(value))
        case .unsigned(let value): self.writeString(String(value))
        case .double(let value): self.writeJSONNumber(value)
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

/// The text of a double as Python's `repr` has it: the shortest digits that read back the same, with an exponent only
/// below 1e-4 and from 1e16 on.
enum PythonNumber {
    static func text(of value: Double) -> String {
        // Swift's own text has the same shortest digits, only laid out by another rule.
        let text = "\(value.magnitude)"
        let sign = value.sign == .minus ? "-" : ""
        var digits = ""
        var exponent = 0
        let parts = text.split(separator: "e", maxSplits: 1)
        let mantissa = parts.first.map(String.init) ?? text
        let halves = mantissa.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let whole = halves.first ?? "0"
        let fraction = halves.count > 1 ? halves[1] : ""
        digits = whole + fraction
        exponent = whole.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        while digits.count > 1, digits.hasPrefix("0") {
            digits.removeFirst()
            exponent -= 1
        }
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        guard digits != "0" else { return sign + "0.0" }
        return sign + Self.layOut(digits, pointAfter: exponent)
    }

    /// - Parameter point: how many digits stand before the decimal point.
    private static func layOut(_ digits: String, pointAfter point: Int) -> String {
        if point > 16 || point < -3 {
            let exponent = point - 1
            let rest = digits.dropFirst()
            let size = String(abs(exponent))
            return "\(digits.prefix(1))\(rest.isEmpty ? "" : "." + rest)e\(exponent < 0 ? "-" : "+")"
                + (size.count < 2 ? "0" + size : size)
        }
        if point <= 0 { return "0." + String(repeating: "0", count: -point) + digits }
        if digits.count <= point { return digits + String(repeating: "0", count: point - digits.count) + ".0" }
        return "\(digits.prefix(point)).\(digits.dropFirst(point))"
    }
}

/// A number in decimal, of any length: what tags say, compared digit by digit as no floating point could.
///
///     -12.50e3   isNegative, digits 125 (without zeros at either end), and their first stands for thousands (exponent 5)
struct ExactDecimal: Comparable, Sendable {
    private let isNegative: Bool
    /// 0 to 9, without zeros at the beginning and the end; empty for zero.
    private let digits: [UInt8]
    /// The value is 0.DIGITS times ten to this.
    private let exponent: Int

    /// Characters a number may have; and what stands behind its `e` has a bound, too.
    private static let lengthLimit = 1_000
    private static let exponentLimit: UInt = 1_000_000

    /// `nil` for what is no number: a sign, digits with at most one point, perhaps an exponent, and nothing else.
    init?(_ text: String) {
        var rest = text.utf8[...]
        guard rest.count <= Self.lengthLimit else { return nil }
        let sign = rest.first
        if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest.removeFirst() }
        var digits: [UInt8] = []
        var exponent = 0
        var hasPoint = false
        var hasDigit = false
        scan: while let byte = rest.first {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                hasDigit = true
                if !digits.isEmpty || byte != UInt8(ascii: "0") {
                    digits.append(byte - UInt8(ascii: "0"))
                    if !hasPoint { exponent += 1 }
                } else if hasPoint {
                    exponent -= 1
                }
            case UInt8(ascii: ".") where !hasPoint: hasPoint = true
            default: break scan
            }
            rest.removeFirst()
        }
        guard hasDigit else { return nil }
        if let mark = rest.popFirst() {
            guard mark | 0x20 == UInt8(ascii: "e"), let power = Int(String(Substring(rest))),
                power.magnitude <= Self.exponentLimit
            else { return nil }
            exponent += power
        }
        while digits.last == 0 { digits.removeLast() }
        self.digits = digits
        self.exponent = digits.isEmpty ? 0 : exponent
        self.isNegative = sign == UInt8(ascii: "-") && !digits.isEmpty
    }

    static func < (one: Self, other: Self) -> Bool {
        guard one.isNegative == other.isNegative else { return one.isNegative }
        return one.isNegative ? other.isCloser(than: one) : one.isCloser(than: other)
    }

    static func == (one: Self, other: Self) -> Bool {
        one.isNegative == other.isNegative && one.exponent == other.exponent && one.digits == other.digits
    }

    /// Its distance from zero is smaller.
    private func isCloser(than other: Self) -> Bool {
        guard !self.digits.isEmpty, !other.digits.isEmpty else { return self.digits.isEmpty && !other.digits.isEmpty }
        if self.exponent != other.exponent { return self.exponent < other.exponent }
        return self.digits.lexicographicallyPrecedes(other.digits)
    }
}

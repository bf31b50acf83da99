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

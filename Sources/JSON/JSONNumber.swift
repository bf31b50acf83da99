/// Numbers from characters that were checked to be one.
enum JSONNumber {
    /// `nil` when 64 bits do not hold it.
    static func integer(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> JSONReader.NumberValue? {
        let isNegative = bytes[range.lowerBound] == UInt8(ascii: "-")
        var magnitude: UInt64 = 0
        var index = isNegative ? range.lowerBound &+ 1 : range.lowerBound
        while index < range.upperBound {
            let (tens, isTooLarge) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeToo) = tens.addingReportingOverflow(UInt64(bytes[index] &- UInt8(ascii: "0")))
            guard !isTooLarge, !isTooLargeToo else { return nil }
            magnitude = sum
            index &+= 1
        }
        if let value = Int64(exactly: magnitude) { return .integer(isNegative ? -value : value) }
        guard isNegative else { return .unsigned(magnitude) }
        return magnitude == UInt64(1) << 63 ? .integer(.min) : nil
    }

    /// A fraction of at most 15 digits without an exponent, which most are.
    ///
    /// Its digits as an integer and the power of ten under them are both exact doubles, so their quotient is rounded once
    /// and right (W. D. Clinger, How to Read Floating Point Numbers Accurately, 1990).
    static func shortFraction(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Double? {
        guard range.count <= 17 else { return nil }
        let isNegative = bytes[range.lowerBound] == UInt8(ascii: "-")
        var digits: Int64 = 0
        var count = 0
        var point: Int?
        var index = isNegative ? range.lowerBound &+ 1 : range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            if byte == UInt8(ascii: ".") {
                point = count
            } else {
                guard byte <= UInt8(ascii: "9"), byte >= UInt8(ascii: "0") else { return nil }
                digits = digits &* 10 &+ Int64(byte &- UInt8(ascii: "0"))
                count &+= 1
            }
            index &+= 1
        }
        guard let point, count <= 15 else { return nil }
        var divisor = 1.0
        for _ in point..<count { divisor *= 10 }
        let value = Double(digits) / divisor
        return isNegative ? -value : value
    }
}

/// How the end of a body is known (RFC 9112 section 6.3).
public enum BodyFraming: Sendable, Hashable {
    /// There is no body.
    case none
    /// So many bytes.
    case length(Int)
    case chunked
    /// All until the connection ends; responses only.
    case untilClose
}

extension HeaderFields {
    /// What `Content-Length` says, in bytes; `nil` without one.
    ///
    /// - Throws: `badFraming` for anything but one field with one number: a list, even of equal numbers, a sign, a space or
    ///   a number past 63 bits is not read alike by everybody.
    package func contentLength() throws(HTTP1Error) -> Int? {
        guard let place = self.first(.contentLength) else { return nil }
        guard !self.repeated.contains(.contentLength) else {
            throw HTTP1Error(.badFraming, "There is more than one Content-Length.")
        }
        guard self.hasOnlySpaces(after: place), let length = self.withValue(place, Self.number) else {
            throw HTTP1Error(.badFraming, "Content-Length is no number of bytes.")
        }
        return length
    }

    /// Whether no tab stands between a value and the end of its line. It may (RFC 9110 section 5.6.3), but not everybody
    /// reads a length or a coding in front of one.
    private func hasOnlySpaces(after place: Place) -> Bool {
        self.bytes.withUnsafeReadableBytes { bytes in
            var index = Int(place.valueEnd)
            while index < bytes.count, bytes[index] == 0x20 { index &+= 1 }
            return index < bytes.count && bytes[index] == 0x0D
        }
    }

    /// Digits only; `nil` for anything else, and past 63 bits.
    private static func number(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard !bytes.isEmpty else { return nil }
        var number = 0
        for byte in bytes {
            guard FieldBytes.isDigit(byte) else { return nil }
            let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int(byte &- 0x30))
            guard !overflow, !carry else { return nil }
            number = sum
        }
        return number
    }

    /// Takes `Transfer-Encoding: chunked` and nothing else.
    ///
    /// - Throws: `badTransferCoding`: 501 when other codings come first and the end could still be told, otherwise 400.
    func checkChunked() throws(HTTP1Error) {
        guard let place = self.first(.transferEncoding), !self.repeated.contains(.transferEncoding) else {
            throw HTTP1Error(.badTransferCoding, "There is more than one Transfer-Encoding.")
        }
        guard self.hasOnlySpaces(after: place) else {
            throw HTTP1Error(.badTransferCoding, "Transfer-Encoding has a tab behind.")
        }
        var codings = 0
        var chunked = 0
        var isLast = false
        self.withValue(place) { value in
            _ = FieldList.any(in: value) { coding in
                codings &+= 1
                isLast = FieldList.contains("chunked", in: coding)
                chunked &+= isLast ? 1 : 0
                return false
            }
        }
        guard isLast, chunked == 1 else {
            throw HTTP1Error(.badTransferCoding, "The last transfer coding must be chunked, and be there once.")
        }
        guard codings == 1 else {
            throw HTTP1Error(.badTransferCoding, status: 501, "The only transfer coding that is undone is chunked.")
        }
    }
}

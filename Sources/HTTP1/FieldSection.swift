/// Reads field lines, up to the empty line after them, as their bytes come (RFC 9112 section 5).
///
/// A machine that looks at each byte once, however the bytes are cut, and keeps places only: the caller holds the bytes
/// until all have come. It never looks past `limits.headBytes`, so the outcome does not depend on the cuts either.
struct FieldSection: Sendable {
    private enum Phase: UInt8 {
        case name, space, value
        /// After the CR of a line, and after the CR of the empty line.
        case lineEnd, lastLineEnd
    }

    private var phase = Phase.name
    private var lineStart: UInt32 = 0
    private var nameEnd: UInt32 = 0
    private var valueStart: UInt32 = 0
    /// The next byte to look at, counted from the head's first.
    private(set) var cursor: Int = 0
    private(set) var places: ContiguousArray<HeaderFields.Place> = []
    private(set) var present = KnownFields()
    private(set) var repeated = KnownFields()

    /// - Parameter start: where the first line begins.
    init(from start: Int = 0) {
        self.cursor = start
        self.lineStart = UInt32(truncatingIfNeeded: start)
    }

    /// Goes on with what has come.
    ///
    /// - Parameters:
    ///   - bytes: all from the head's first byte; those of earlier calls, and perhaps more.
    ///   - limits: `sane` ones.
    /// - Returns: whether the empty line has come; `cursor` is after it then.
    mutating func advance(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) throws(HTTP1Error) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        let end = min(bytes.count, limits.headBytes)
        var cursor = self.cursor
        while cursor < end {
            switch self.phase {
            case .name:
                let lineStart = Int(self.lineStart)
                cursor = FieldBytes.endOfToken(base, from: cursor, to: end)
                guard cursor < end else { continue }
                let byte = base.load(fromByteOffset: cursor, as: UInt8.self)
                if byte == UInt8(ascii: ":"), cursor > lineStart {
                    guard cursor &- lineStart <= HeaderFields.nameLimit else { throw Self.nameTooLong }
                    self.nameEnd = UInt32(truncatingIfNeeded: cursor)
                    self.phase = .space
                } else if byte == 0x0D, cursor == lineStart {
                    self.phase = .lastLineEnd
                } else {
                    throw Self.nameFault(byte, isFirst: cursor == lineStart)
                }
                cursor &+= 1
            case .space:
                while cursor < end, FieldBytes.isSpace(base.load(fromByteOffset: cursor, as: UInt8.self)) {
                    cursor &+= 1
                }
                guard cursor < end else { continue }
                self.valueStart = UInt32(truncatingIfNeeded: cursor)
                self.phase = .value
            case .value:
                cursor = FieldBytes.endOfValue(base, from: cursor, to: end)
                guard cursor < end else { continue }
                let byte = base.load(fromByteOffset: cursor, as: UInt8.self)
                guard byte == 0x0D else { throw Self.valueFault(byte) }
                cursor &+= 1
                self.phase = .lineEnd
            case .lineEnd:
                guard base.load(fromByteOffset: cursor, as: UInt8.self) == 0x0A else { throw Self.bareReturn }
                try self.add(base, valueEnd: cursor &- 1, limits.fields)
                cursor &+= 1
                self.lineStart = UInt32(truncatingIfNeeded: cursor)
                self.phase = .name
            case .lastLineEnd:
                guard base.load(fromByteOffset: cursor, as: UInt8.self) == 0x0A else { throw Self.bareReturn }
                self.cursor = cursor &+ 1
                return true
            }
        }
        self.cursor = cursor
        guard cursor < limits.headBytes else {
            throw HTTP1Error(.headTooLarge, status: 431, "The head is larger than \(limits.headBytes) bytes.")
        }
        return false
    }

    /// - Parameter valueEnd: where the line's CR stands.
    private mutating func add(_ base: UnsafeRawPointer, valueEnd: Int, _ limit: Int) throws(HTTP1Error) {
        guard self.places.count < limit else {
            throw HTTP1Error(.tooManyFields, status: 431, "There are more than \(limit) header fields.")
        }
        if self.places.isEmpty { self.places.reserveCapacity(16) }
        let valueStart = Int(self.valueStart)
        var valueEnd = valueEnd
        while valueEnd > valueStart, FieldBytes.isSpace(base.load(fromByteOffset: valueEnd &- 1, as: UInt8.self)) {
            valueEnd &-= 1
        }
        let nameLength = Int(self.nameEnd) &- Int(self.lineStart)
        let known = KnownField(UnsafeRawBufferPointer(start: base + Int(self.lineStart), count: nameLength))
        if self.present.contains(known) { self.repeated.insert(known) }
        self.present.insert(known)
        self.places.append(
            HeaderFields.Place(
                nameStart: self.lineStart, valueStart: self.valueStart, valueEnd: UInt32(truncatingIfNeeded: valueEnd),
                nameLength: UInt16(truncatingIfNeeded: nameLength), known: known))
    }
}

// MARK: - Faults

extension FieldSection {
    private static var nameTooLong: HTTP1Error {
        HTTP1Error(.badField, status: 431, "A field's name is longer than \(HeaderFields.nameLimit) bytes.")
    }

    private static var bareReturn: HTTP1Error { HTTP1Error(.badField, "A line of the head has a CR without LF.") }

    private static func nameFault(_ byte: UInt8, isFirst: Bool) -> HTTP1Error {
        switch byte {
        case 0x20, 0x09:
            isFirst
                ? HTTP1Error(.badField, "A field line is folded, or begins with white space.")
                : HTTP1Error(.badField, "A field has white space before its colon.")
        case 0x0A: HTTP1Error(.badField, "A line of the head ends with LF alone.")
        case 0x0D: HTTP1Error(.badField, "A field line has no colon.")
        case UInt8(ascii: ":"): HTTP1Error(.badField, "A field has no name.")
        default: HTTP1Error(.badField, "A field's name has a character that cannot stand there.")
        }
    }

    private static func valueFault(_ byte: UInt8) -> HTTP1Error {
        byte == 0x0A
            ? HTTP1Error(.badField, "A line of the head ends with LF alone.")
            : HTTP1Error(.badField, "A field's value has a control character.")
    }
}

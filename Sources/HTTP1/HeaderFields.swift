import NIOCore

/// The fields of a head, in order, with their names as they were spelled.
///
/// Parsed fields stay where they came: one slice of the received bytes, and a place for each name and value. Text is made
/// only of what is asked for. Names are compared without regard to case (RFC 9110 section 5.1). Copying costs two
/// references; changing a parsed head copies its bytes once.
public struct HeaderFields: Sendable {
    /// Where one field stands in `bytes`, counted from its first byte. Between name and value stand a colon and perhaps
    /// white space, so name to value is one run that can be written on as it is.
    struct Place: Sendable {
        var nameStart: UInt32
        var valueStart: UInt32
        var valueEnd: UInt32
        var nameLength: UInt16
        var known: KnownField
    }

    /// The longest name, in bytes, that is read or taken.
    static let nameLimit = 256

    /// A head's bytes, first line and all, and after them whatever was appended.
    private(set) var bytes = ByteBuffer()
    private(set) var places: ContiguousArray<Place> = []
    /// The known fields that are there, and those that are there more than once.
    private(set) var present = KnownFields()
    private(set) var repeated = KnownFields()

    public init() {}

    /// Fields of our own making; see `append`.
    public init(_ fields: [(String, String)]) {
        // Room for all at once: what a program answers with is made anew for every answer.
        self.bytes.reserveCapacity(fields.reduce(0) { $0 &+ $1.0.utf8.count &+ $1.1.utf8.count &+ 4 })
        self.places.reserveCapacity(fields.count)
        for (name, value) in fields { self.append(name, value) }
    }

    init(bytes: ByteBuffer, places: ContiguousArray<Place>, present: KnownFields, repeated: KnownFields) {
        self.bytes = bytes
        self.places = places
        self.present = present
        self.repeated = repeated
    }

    /// Fields, not different names.
    public var count: Int { self.places.count }

    // MARK: Looking

    /// The value of the first field called `name`, without white space around it. Bytes that are no UTF-8 come as U+FFFD.
    public subscript(_ name: String) -> String? { self.first(name).map(self.value) }

    /// The values of all fields called `name`, in order.
    public func values(_ name: String) -> [String] {
        let known = KnownField(name)
        if known != .other, !self.present.contains(known) { return [] }
        var values: [String] = []
        for place in self.places where self.hasName(place, name, known) { values.append(self.value(place)) }
        return values
    }

    public func contains(_ name: String) -> Bool { self.first(name) != nil }

    package subscript(_ field: KnownField) -> String? { self.first(field).map(self.value) }

    @inline(__always)
    package func contains(_ field: KnownField) -> Bool { self.present.contains(field) }

    /// Whether the head has none of `fields`.
    package func hasNone(of fields: KnownFields) -> Bool { self.present.isDisjoint(with: fields) }

    func first(_ field: KnownField) -> Place? {
        guard self.present.contains(field) else { return nil }
        for place in self.places where place.known == field { return place }
        return nil
    }

    private func first(_ name: String) -> Place? {
        let known = KnownField(name)
        guard known == .other else { return self.first(known) }
        for place in self.places where self.hasName(place, name, known) { return place }
        return nil
    }

    // MARK: Changing

    /// Adds a field that a program wrote. What would break out of a head cannot get in: a name that is no token (or longer
    /// than 256 bytes) is not added at all, and each control character in the value becomes a space; white space at the
    /// value's ends is dropped. For what comes from strangers see `append(checking:_:)`, which says so.
    public mutating func append(_ name: String, _ value: String) {
        guard Self.isValidName(name) else { return }
        var (name, value) = (name, value)
        name.withUTF8 { name in value.withUTF8 { self.append(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer($0)) }
        }
    }

    /// Adds a field of which somebody else chose the name or the value.
    ///
    /// - Throws: `badField` when the name is no token (or longer than 256 bytes), or the value has a control character.
    public mutating func append(checking name: String, _ value: String) throws(HTTP1Error) {
        guard Self.isValidName(name) else {
            throw HTTP1Error(.badField, "A field's name must be letters, digits and hyphens, 1 to 256 of them.")
        }
        guard Self.isValidValue(value) else {
            throw HTTP1Error(.badField, "The value of \(name) has a control character.")
        }
        self.append(name, value)
    }

    /// Replaces all fields called `name` by one at the end; see `append`.
    public mutating func set(_ name: String, _ value: String) {
        self.removeAll(name)
        self.append(name, value)
    }

    public mutating func removeAll(_ name: String) {
        let known = KnownField(name)
        if known != .other, !self.present.contains(known) { return }
        self.places = self.places.filter { !self.hasName($0, name, known) }
        self.present.remove(known)
        self.repeated.remove(known)
    }

    package mutating func removeAll(_ fields: KnownFields) {
        guard !fields.isDisjoint(with: self.present) else { return }
        self.places.removeAll { fields.contains($0.known) }
        for field in KnownField.allCases where fields.contains(field) {
            self.present.remove(field)
            self.repeated.remove(field)
        }
    }

    /// A token (RFC 9110 section 5.6.2) of at most 256 bytes.
    public static func isValidName(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { name in
            guard (1...Self.nameLimit).contains(name.count) else { return false }
            for byte in name where !FieldBytes.isToken(byte) { return false }
            return true
        }
    }

    /// Without control characters other than tab (RFC 9110 section 5.5).
    public static func isValidValue(_ value: String) -> Bool {
        var value = value
        return value.withUTF8 { FieldBytes.isValue(UnsafeRawBufferPointer($0)) }
    }

    /// - Parameter name: a token.
    private mutating func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let value = FieldBytes.trimmed(value)
        let nameStart = self.bytes.readableBytes
        let valueStart = nameStart &+ name.count &+ 2
        guard let end = UInt32(exactly: valueStart &+ value.count &+ 2) else { return }
        self.bytes.reserveCapacity(minimumWritableBytes: name.count &+ value.count &+ 4)
        self.bytes.writeBytes(name)
        self.bytes.writeStaticString(": ")
        let start = self.bytes.writerIndex
        self.bytes.writeBytes(value)
        if !FieldBytes.isValue(value) {
            for (index, byte) in value.enumerated() where !FieldBytes.isValue(byte) {
                self.bytes.setInteger(UInt8(ascii: " "), at: start &+ index)
            }
        }
        self.bytes.writeStaticString("\r\n")
        let known = KnownField(name)
        if self.present.contains(known) { self.repeated.insert(known) }
        self.present.insert(known)
        self.places.append(
            Place(
                nameStart: UInt32(truncatingIfNeeded: nameStart), valueStart: UInt32(truncatingIfNeeded: valueStart),
                valueEnd: end &- 2, nameLength: UInt16(truncatingIfNeeded: name.count), known: known))
    }
}

// MARK: - Bytes

extension HeaderFields {
    /// - Parameter known: what `name` is.
    @inline(__always)
    func hasName(_ place: Place, _ name: String, _ known: KnownField) -> Bool {
        guard place.known == known else { return false }
        return known != .other || self.withName(place) { FieldBytes.isSame($0, name) }
    }

    func value(_ place: Place) -> String { self.withValue(place, FieldBytes.text) }

    func name(_ place: Place) -> String { self.withName(place, FieldBytes.text) }

    @inline(__always)
    func withName<Result>(_ place: Place, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        self.withBytes(Int(place.nameStart), Int(place.nameLength), body)
    }

    @inline(__always)
    func withValue<Result>(_ place: Place, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        self.withBytes(Int(place.valueStart), Int(place.valueEnd) &- Int(place.valueStart), body)
    }

    /// Places hold by construction; they are checked all the same, because what they show is copied to somebody else.
    @inline(__always)
    private func withBytes<Result>(
        _ start: Int, _ length: Int, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        self.bytes.withUnsafeReadableBytes { bytes in
            guard length >= 0, start &+ length <= bytes.count else {
                return body(UnsafeRawBufferPointer(start: nil, count: 0))
            }
            return body(UnsafeRawBufferPointer(rebasing: bytes[start..<(start &+ length)]))
        }
    }
}

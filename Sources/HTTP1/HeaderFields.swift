import NIOCore

/// The fields of a head, in order, with their names as they were spelled.
///
/// Parsed fields stay where they came: one slice of the received bytes and a place for each name and value. Text is made
/// only of what is asked for. Names are compared without regard to case (RFC 9110 section 5.1).
public struct HeaderFields: Sendable {
    /// Where one field stands in `bytes`, counted from its first byte.
    struct Place: Sendable {
        var nameStart: UInt32
        var nameEnd: UInt32
        var valueStart: UInt32
        var valueEnd: UInt32
    }

    private(set) var bytes = ByteBuffer()
    private(set) var places: ContiguousArray<Place> = []

    public init() {}

    /// Fields of our own making; see `append`.
    public init(_ fields: [(String, String)]) {
        for (name, value) in fields { self.append(name, value) }
    }

    init(bytes: ByteBuffer, places: ContiguousArray<Place>) {
        self.bytes = bytes
        self.places = places
    }

    /// Fields, not different names.
    public var count: Int { self.places.count }

    // MARK: Looking

    /// The value of the first field called `name`.
    public subscript(_ name: String) -> String? {
        self.places.first { self.hasName($0, name) }.map(self.value)
    }

    /// The values of all fields called `name`, in order.
    public func values(_ name: String) -> [String] {
        self.places.lazy.filter { self.hasName($0, name) }.map(self.value)
    }

    public func contains(_ name: String) -> Bool { self.places.contains { self.hasName($0, name) } }

    /// Whether `token` stands in a comma-separated list under `name`, in whatever case and in however many fields.
    public func hasToken(_ token: String, in name: String) -> Bool {
        self.places.contains { place in
            self.hasName(place, name)
                && self.withBytes(place.valueStart, place.valueEnd) { FieldBytes.list($0, contains: token) }
        }
    }

    /// Whether a media type would be accepted (RFC 9110 section 12.5.1), named exactly in an `Accept` field.
    public func accepts(_ mediaType: String) -> Bool {
        self.values("accept").contains { value in
            value.split(separator: ",").contains { element in
                let type = element.prefix { $0 != ";" }.drop { $0 == " " || $0 == "\t" }
                return type.prefix { $0 != " " && $0 != "\t" }.lowercased() == mediaType
            }
        }
    }

    // MARK: Changing

    /// Adds a field. What would break out of a head cannot get in: a name that is no token is not added at all, and each
    /// control character in the value becomes a space.
    public mutating func append(_ name: String, _ value: String) {
        guard Self.isValidName(name) else { return }
        let nameStart = self.end
        self.bytes.writeString(name)
        let nameEnd = self.end
        self.bytes.writeStaticString(": ")
        let valueStart = self.end
        if value.utf8.allSatisfy(FieldBytes.isValue) {
            self.bytes.writeString(value)
        } else {
            self.bytes.writeBytes(value.utf8.map { FieldBytes.isValue($0) ? $0 : UInt8(ascii: " ") })
        }
        let valueEnd = self.end
        self.bytes.writeStaticString("\r\n")
        self.places.append(
            Place(nameStart: nameStart, nameEnd: nameEnd, valueStart: valueStart, valueEnd: valueEnd))
    }

    /// Replaces all fields called `name` by one.
    public mutating func set(_ name: String, _ value: String) {
        self.removeAll(name)
        self.append(name, value)
    }

    public mutating func removeAll(_ name: String) {
        self.places = self.places.filter { !self.hasName($0, name) }
    }

    /// A token (RFC 9110 section 5.6.2).
    public static func isValidName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy(FieldBytes.isToken)
    }

    /// Without control characters other than tab.
    public static func isValidValue(_ value: String) -> Bool { value.utf8.allSatisfy(FieldBytes.isValue) }

    // MARK: Bytes

    private var end: UInt32 { UInt32(clamping: self.bytes.readableBytes) }

    func hasName(_ place: Place, _ name: String) -> Bool {
        self.withBytes(place.nameStart, place.nameEnd) { FieldBytes.isSame($0, name) }
    }

    func value(_ place: Place) -> String {
        self.withBytes(place.valueStart, place.valueEnd) { String(decoding: $0, as: UTF8.self) }
    }

    func name(_ place: Place) -> String {
        self.withBytes(place.nameStart, place.nameEnd) { String(decoding: $0, as: UTF8.self) }
    }

    func withBytes<Result>(_ start: UInt32, _ end: UInt32, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        self.bytes.withUnsafeReadableBytes { bytes in
            guard start <= end, Int(end) <= bytes.count else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
            return body(UnsafeRawBufferPointer(rebasing: bytes[Int(start)..<Int(end)]))
        }
    }
}

extension HeaderFields: Sequence {
    public typealias Element = (name: String, value: String)

    public func makeIterator() -> AnyIterator<Element> {
        var places = self.places.makeIterator()
        return AnyIterator { places.next().map { (self.name($0), self.value($0)) } }
    }
}

extension HeaderFields: Hashable {
    public static func == (one: HeaderFields, other: HeaderFields) -> Bool {
        one.count == other.count && zip(one, other).allSatisfy { $0.name == $1.name && $0.value == $1.value }
    }

    public func hash(into hasher: inout Hasher) {
        for (name, value) in self {
            hasher.combine(name)
            hasher.combine(value)
        }
    }
}

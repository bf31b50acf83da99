import NIOCore

extension HeaderFields {
    /// Calls `body` with each field's name and value as bytes, in order: for those who copy most of a head and must not
    /// make text of it. The bytes are valid during the call only.
    package func forEachBytes(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        self.forEachField { body($1, $2) }
    }

    /// The same, with what the field is: told when the head was read, so it costs nothing here.
    package func forEachField(
        _ body: (_ field: KnownField, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) {
        self.bytes.withUnsafeReadableBytes { bytes in
            for place in self.places {
                let (nameStart, valueStart) = (Int(place.nameStart), Int(place.valueStart))
                let (nameEnd, valueEnd) = (nameStart &+ Int(place.nameLength), Int(place.valueEnd))
                // Holds by construction; checked, because what follows is copied to somebody else.
                guard nameEnd <= valueStart, valueStart <= valueEnd, valueEnd <= bytes.count else { continue }
                body(
                    place.known, UnsafeRawBufferPointer(rebasing: bytes[nameStart..<nameEnd]),
                    UnsafeRawBufferPointer(rebasing: bytes[valueStart..<valueEnd]))
            }
        }
    }

    /// Bytes that all fields together take on the wire, at most (white space around values aside).
    package var byteCount: Int { self.bytes.readableBytes }

    /// Calls `body` with the bytes of each field called `field`, until it answers `true`.
    ///
    /// - Returns: whether it did.
    func anyValue(of field: KnownField, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        guard self.present.contains(field) else { return false }
        for place in self.places where place.known == field {
            if self.withValue(place, body) { return true }
        }
        return false
    }
}

extension HeaderFields: Sequence {
    /// Names and values as text, in order. Each step makes two strings: not for the hot path.
    public struct Iterator: IteratorProtocol {
        private let fields: HeaderFields
        private var index = 0

        init(_ fields: HeaderFields) { self.fields = fields }

        public mutating func next() -> (name: String, value: String)? {
            guard self.index < self.fields.places.count else { return nil }
            let place = self.fields.places[self.index]
            self.index &+= 1
            return (self.fields.name(place), self.fields.value(place))
        }
    }

    public func makeIterator() -> Iterator { Iterator(self) }

    public var underestimatedCount: Int { self.places.count }
}

/// Equal are the same names, as they are spelled, and values in the same order, wherever their bytes stand.
extension HeaderFields: Hashable {
    public static func == (one: HeaderFields, other: HeaderFields) -> Bool {
        guard one.count == other.count else { return false }
        return zip(one.places, other.places).allSatisfy { place, otherPlace in
            one.withName(place) { name in other.withName(otherPlace) { name.elementsEqual($0) } }
                && one.withValue(place) { value in other.withValue(otherPlace) { value.elementsEqual($0) } }
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.count)
        self.forEachBytes { name, value in
            hasher.combine(name.count)
            hasher.combine(bytes: name)
            hasher.combine(bytes: value)
        }
    }
}

extension HeaderFields: CustomStringConvertible {
    /// One line a field; for tests and debuggers, never for logs: fields hold secrets.
    public var description: String { self.map { "\($0.name): \($0.value)" }.joined(separator: "\n") }
}

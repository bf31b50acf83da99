public import NIOCore

extension ByteBuffer {
    /// Writes all fields, each with its line end. Lines that stand behind each other are copied in one piece.
    public mutating func writeFields(_ fields: HeaderFields) {
        self.writeFields(of: fields) { _, _, _ in true }
    }

    /// Writes the fields that a proxy passes on, byte for byte: all but those about one connection (RFC 9110 section
    /// 7.6.1), those that `Connection` names, and those in `excluded`.
    ///
    /// `Connection` cannot take `Host` and `Content-Length` away, which every reader needs.
    ///
    /// - Parameter excluded: names, in whatever case.
    package mutating func writeFields(of fields: HeaderFields, excluding excluded: [String]) {
        var (known, others) = (KnownFields(), [String]())
        for name in excluded {
            let field = KnownField(name)
            if field == .other { others.append(name) } else { known.insert(field) }
        }
        self.writeFields(of: fields, excluding: known, others + fields.namedByConnection())
    }

    /// The same, for those who exclude known fields only: nothing is compared then.
    package mutating func writeFields(of fields: HeaderFields, excluding excluded: KnownFields) {
        self.writeFields(of: fields, excluding: excluded, fields.namedByConnection())
    }

    private mutating func writeFields(of fields: HeaderFields, excluding known: KnownFields, _ named: [String]) {
        self.writeFields(of: fields) { field, name, _ in
            !KnownFields.hopByHop.contains(field) && !known.contains(field)
                && (named.isEmpty || !named.contains { FieldBytes.isSame(name, $0) })
        }
    }

    /// Writes the fields that `passes` lets through, each with its line end, byte for byte as they came.
    ///
    /// - Parameter passes: asked once for each field, in order; the bytes are valid during the call only.
    package mutating func writeFields(
        of fields: HeaderFields,
        where passes: (_ field: KnownField, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) {
        guard fields.count > 0 else { return }
        // A line that is copied as it came needs no more room than it had; one with white space at its end needs less.
        let room = fields.byteCount
        _ = self.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
            fields.bytes.withUnsafeReadableBytes { source in
                var run = LineRun(source: source, target: target)
                for place in fields.places {
                    guard let (name, value) = place.bytes(in: source), passes(place.known, name, value) else {
                        continue
                    }
                    run.add(place)
                }
                return run.end()
            }
        }
    }
}

extension HeaderFields.Place {
    /// Holds by construction; checked, because what it shows is copied to somebody else.
    @inline(__always)
    func bytes(in source: UnsafeRawBufferPointer) -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        let (nameStart, valueStart) = (Int(self.nameStart), Int(self.valueStart))
        let (nameEnd, valueEnd) = (nameStart &+ Int(self.nameLength), Int(self.valueEnd))
        guard nameEnd <= valueStart, valueStart <= valueEnd, valueEnd &+ 2 <= source.count else { return nil }
        return (
            UnsafeRawBufferPointer(rebasing: source[nameStart..<nameEnd]),
            UnsafeRawBufferPointer(rebasing: source[valueStart..<valueEnd])
        )
    }
}

/// Copies lines, those that stand behind each other as one piece.
private struct LineRun {
    let source: UnsafeRawBufferPointer
    let target: UnsafeMutableRawBufferPointer
    private var start = 0
    private var stop = 0
    private var written = 0

    init(source: UnsafeRawBufferPointer, target: UnsafeMutableRawBufferPointer) {
        self.source = source
        self.target = target
    }

    /// - Parameter place: one that lies within the source, line end and all.
    mutating func add(_ place: HeaderFields.Place) {
        let (nameStart, valueEnd) = (Int(place.nameStart), Int(place.valueEnd))
        if nameStart != self.stop {
            self.flush()
            self.start = nameStart
        }
        if self.source[valueEnd] == 0x0D {
            self.stop = valueEnd &+ 2
        } else {
            // White space at the value's end is not passed on.
            self.stop = valueEnd
            self.flush()
            self.put("\r\n")
            self.start = 0
            self.stop = 0
        }
    }

    mutating func end() -> Int {
        self.flush()
        return self.written
    }

    private mutating func flush() {
        guard self.stop > self.start, self.written &+ self.stop &- self.start <= self.target.count else { return }
        UnsafeMutableRawBufferPointer(rebasing: self.target[self.written...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: self.source[self.start..<self.stop]))
        self.written &+= self.stop &- self.start
        self.start = self.stop
    }

    private mutating func put(_ text: StaticString) {
        guard self.written &+ text.utf8CodeUnitCount <= self.target.count else { return }
        UnsafeMutableRawBufferPointer(rebasing: self.target[self.written...]).copyMemory(
            from: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        self.written &+= text.utf8CodeUnitCount
    }
}

extension HeaderFields {
    /// What `Connection` names beside the usual words: fields that end here. As a rule none, and then nothing is made.
    package func namedByConnection() -> [String] {
        var named: [String] = []
        guard self.contains(.connection) else { return named }
        _ = self.anyValue(of: .connection) { value in
            FieldList.any(in: value) { element in
                if !element.isEmpty, named.count < 32, !Self.isUsual(element) { named.append(FieldBytes.text(element)) }
                return false
            }
        }
        return named
    }

    private static func isUsual(_ option: UnsafeRawBufferPointer) -> Bool {
        switch option.count {
        case 4: FieldBytes.isSame(option, "host")
        case 5: FieldBytes.isSame(option, "close")
        case 14: FieldBytes.isSame(option, "content-length")
        default: KnownFields.hopByHop.contains(KnownField(option))
        }
    }
}

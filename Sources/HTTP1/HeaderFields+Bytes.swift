import NIOCore

extension HeaderFields {
    /// Calls `body` with the bytes of each field's name and value, in order: for those who copy most of a head and must
    /// not make text of it. The bytes are valid during the call only.
    package func forEachBytes(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        self.bytes.withUnsafeReadableBytes { bytes in
            for place in self.places {
                let (nameEnd, valueEnd) = (Int(place.nameEnd), Int(place.valueEnd))
                // Holds by construction; checked, because what follows is copied to somebody else.
                guard place.nameStart <= place.nameEnd, nameEnd <= bytes.count, place.valueStart <= place.valueEnd,
                    valueEnd <= bytes.count
                else { continue }
                body(
                    UnsafeRawBufferPointer(rebasing: bytes[Int(place.nameStart)..<nameEnd]),
                    UnsafeRawBufferPointer(rebasing: bytes[Int(place.valueStart)..<valueEnd]))
            }
        }
    }

    /// Bytes that all fields take on the wire, at least.
    package var byteCount: Int { self.bytes.readableBytes }
}

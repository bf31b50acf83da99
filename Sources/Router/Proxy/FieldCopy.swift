import HTTP1
import NIOCore

/// Copies the fields of a head that the proxy passes on, byte for byte.
enum FieldCopy {
    /// Appends each field of `fields` that `passes` lets through and that `Connection` does not name, with its line end.
    ///
    /// One look at each field and one reservation of room for all of them: this is most of what proxying a small request
    /// costs in user mode.
    static func write(
        _ fields: HeaderFields, to out: inout ByteBuffer,
        passes: (_ kind: FieldKind, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) {
        let named = Self.namedByConnection(fields)
        // A line on the wire is at least its name, a colon, its value and a line end; ours has a space in addition.
        let room = fields.byteCount + 4 * fields.count
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
            var written = 0
            fields.forEachBytes { name, value in
                guard passes(FieldKind(name), name, value), named.isEmpty || !Self.isNamed(name, in: named),
                    written + name.count + value.count + 4 <= target.count
                else { return }
                let line = UnsafeMutableRawBufferPointer(rebasing: target[written...])
                line.copyMemory(from: name)
                var length = name.count
                line[length] = UInt8(ascii: ":")
                line[length + 1] = UInt8(ascii: " ")
                UnsafeMutableRawBufferPointer(rebasing: line[(length + 2)...]).copyMemory(from: value)
                length += 2 + value.count
                line[length] = UInt8(ascii: "\r")
                line[length + 1] = UInt8(ascii: "\n")
                written += length + 2
            }
            return written
        }
    }

    /// The names in `Connection` that are more than the usual words, in lower case. As a rule none.
    private static func namedByConnection(_ fields: HeaderFields) -> [String] {
        var named: [String] = []
        for value in fields.values("connection") {
            for part in value.split(separator: ",") {
                let name = part.filter { $0 != " " && $0 != "\t" }.lowercased()
                switch name {
                // The last three: a browser may not take away what every request needs, or how it is framed.
                case "", "close", "keep-alive", "upgrade", "te", "host", "content-length", "transfer-encoding": continue
                default: named.append(name)
                }
            }
        }
        return named
    }

    private static func isNamed(_ name: UnsafeRawBufferPointer, in named: [String]) -> Bool {
        let lowered = String(decoding: name, as: UTF8.self).lowercased()
        return named.contains(lowered)
    }
}

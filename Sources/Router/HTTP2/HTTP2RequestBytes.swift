import HTTP1
import NIOCore
import NIOHPACK

/// Makes the bytes of an HTTP/1.1 request of one HTTP/2 stream. A value without I/O.
///
/// What it makes is read by the same parser as every browser's bytes, so that a request is refused for the same reasons
/// however it comes. Nothing gets out of its place on the way: a part with a byte that could is refused here.
struct HTTP2RequestBytes {
    /// The request is malformed: its stream is reset (RFC 9113 section 8.1.1).
    struct Malformed: Error {}

    private enum Framing { case none, length, chunked }

    /// Empty before the head.
    private(set) var method = ""
    private var framing = Framing.none
    /// It has all come.
    private(set) var isComplete = false

    var hasBegun: Bool { !self.method.isEmpty }

    /// The first headers of the stream.
    mutating func head(_ headers: HPACKHeaders, endsStream: Bool) throws -> ByteBuffer {
        var (path, authority) = (String?.none, String?.none)
        var fields = HeaderFields()
        var cookies: [String] = []
        var hosts: [String] = []
        for (name, value, _) in headers {
            switch name {
            case ":method": self.method = value
            case ":path": path = value
            case ":authority": authority = value
            case ":scheme", ":protocol": break
            case "host": hosts.append(value)
            // Browsers send each crumb for itself; one field is what HTTP/1.1 has (RFC 9113 section 8.2.3).
            case "cookie": cookies.append(value)
            default: try Self.append(name, value, to: &fields)
            }
        }
        guard Self.isToken(self.method), self.method != "CONNECT", let path, Self.isTarget(path), hosts.count <= 1
        else {
            throw Malformed()
        }
        if let authority, let host = hosts.first, authority != host { throw Malformed() }
        if let host = authority ?? hosts.first { try Self.append("host", host, to: &fields) }
        if !cookies.isEmpty { try Self.append("cookie", cookies.joined(separator: "; "), to: &fields) }
        self.isComplete = endsStream
        self.framing = fields.contains("content-length") ? .length : endsStream ? .none : .chunked
        if self.framing == .chunked { fields.append("transfer-encoding", "chunked") }
        var bytes = ByteBuffer()
        bytes.writeRequestHead(RequestHead(method: self.method, target: path, fields: fields))
        return bytes
    }

    /// Bytes of the body.
    mutating func data(_ data: ByteBuffer, endsStream: Bool) -> ByteBuffer {
        var bytes = ByteBuffer()
        if self.framing == .chunked { bytes.writeChunk(data) } else { bytes = data }
        if endsStream {
            self.isComplete = true
            if self.framing == .chunked { bytes.writeLastChunk() }
        }
        return bytes
    }

    /// Headers after the body, which are its end.
    mutating func trailers(_ headers: HPACKHeaders, endsStream: Bool) throws -> ByteBuffer {
        guard endsStream else { throw Malformed() }
        self.isComplete = true
        var bytes = ByteBuffer()
        // A body with a length has no place for them.
        guard self.framing == .chunked else { return bytes }
        var fields = HeaderFields()
        for (name, value, _) in headers { try Self.append(name, value, to: &fields) }
        bytes.writeLastChunk(trailers: fields)
        return bytes
    }

    private static func append(_ name: String, _ value: String, to fields: inout HeaderFields) throws {
        let known = KnownField(name)
        // RFC 9113 section 8.2.2: nothing that is about one connection, but for "te: trailers".
        guard !KnownFields.hopByHop.contains(known) || known == .trailer || (known == .te && value == "trailers"),
            !name.utf8.contains(where: { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") })
        else { throw Malformed() }
        do throws(HTTP1Error) {
            try fields.append(checking: name, value)
        } catch {
            throw Malformed()
        }
    }

    private static func isToken(_ text: String) -> Bool { text.utf8.count <= 16 && HeaderFields.isValidName(text) }

    private static func isTarget(_ text: String) -> Bool {
        guard text.utf8.first == UInt8(ascii: "/") || text == "*" else { return false }
        return text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
    }
}

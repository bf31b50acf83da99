import CZlib

/// Unpacks a whole zlib stream (RFC 1950) that may be hostile.
enum BoundedInflate {
    /// - Parameter limit: bytes of output at most.
    /// - Returns: the output; `nil` when the stream is damaged, incomplete, followed by something, or larger than `limit`.
    ///   No more than `limit` + 1 bytes are ever made.
    static func zlib(_ packed: [UInt8], limit: Int) -> [UInt8]? {
        var stream = z_stream()
        guard let size = UInt32(exactly: packed.count), let room = UInt32(exactly: limit + 1),
            inflateInit_(&stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { return nil }
        defer { inflateEnd(&stream) }
        var packed = packed
        var status = Z_OK
        let output = [UInt8](unsafeUninitializedCapacity: limit + 1) { output, count in
            packed.withUnsafeMutableBufferPointer { input in
                stream.next_in = input.baseAddress
                stream.avail_in = size
                stream.next_out = output.baseAddress
                stream.avail_out = room
                status = inflate(&stream, Z_FINISH)
            }
            count = Int(room - stream.avail_out)
        }
        guard status == Z_STREAM_END, stream.avail_in == 0, output.count <= limit else { return nil }
        return output
    }
}

public import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The files under `Tests/Vectors`: facts about what other programs write and accept.
public enum Vectors {
    /// - Throws: `VectorError` with the path when the file cannot be read.
    public static func bytes(_ name: String, file: StaticString = #filePath) throws -> ByteBuffer {
        let path =
            "\(file)".split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
            + "/Vectors/" + name
        guard let stream = fopen(path, "rb") else { throw VectorError(message: "cannot open \(path)") }
        defer { fclose(stream) }
        var content = ByteBuffer()
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, stream), count > 0 { content.writeBytes(chunk[..<count]) }
        return content
    }
}

public struct VectorError: Error, CustomStringConvertible {
    let message: String
    public var description: String { self.message }
}

/// Bytes written as hexadecimal digits, as vector files have them.
public func bytes(hex: String) -> ByteBuffer {
    var bytes = ByteBuffer()
    var digits = hex.utf8.makeIterator()
    func digit() -> UInt8? { digits.next().flatMap { Character(Unicode.Scalar($0)).hexDigitValue }.map(UInt8.init) }
    while let high = digit(), let low = digit() { bytes.writeInteger(high << 4 | low) }
    return bytes
}

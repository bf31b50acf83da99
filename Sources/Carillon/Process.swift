@preconcurrency import Glibc
import NIOCore

/// What the process was given.
enum Process {
    static let environment: [String: String] = {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return variables
    }()

    /// The folder that relative paths begin at.
    static var directory: String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }
}

/// A file of text that is read as a whole.
enum TextFile {
    /// Nothing a person writes by hand is larger.
    private static let sizeLimit = 4 * 1_024 * 1_024

    /// - Throws: `Failure` with the reason.
    static func read(_ path: String) throws -> ByteBuffer {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure("\(path) cannot be read: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var text = ByteBuffer()
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return text }
            guard count > 0 else { throw Failure("\(path) cannot be read: \(String(cString: strerror(errno)))") }
            text.writeBytes(chunk.prefix(count))
            guard text.readableBytes <= Self.sizeLimit else {
                throw Failure("\(path) is no settings file: it has more than \(Self.sizeLimit) bytes")
            }
        }
    }
}

public import Foundation

/// A folder for a test's files, removed with all that is in it when nobody holds it any more: also when the test fails.
///
/// It is kept by a property of a suite, of which each test has one of its own, or of a server that the test starts; otherwise
/// by `defer { folder.remove() }`. The path is short, because that of a Unix socket has at most 107 bytes.
public final class TestFolder: Sendable {
    public let path: String
    public var url: URL { URL(filePath: self.path, directoryHint: .isDirectory) }

    public init() throws {
        var template = Array("/tmp/carillon-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        self.path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { self.remove() }

    /// The path of a file in it, which may not be there.
    public func file(_ name: String) -> String { "\(self.path)/\(name)" }

    public func remove() { try? FileManager.default.removeItem(atPath: self.path) }
}

/// Runs `body` with a folder that is removed afterwards.
public func withTestFolder<Value>(_ body: (URL) async throws -> Value) async throws -> Value {
    let folder = try TestFolder()
    defer { folder.remove() }
    return try await body(folder.url)
}

import Glibc
import NIOCore

/// Standard output and standard error, a line at a time and without a buffer: who reads a pipe sees each line at once.
enum Output {
    /// - Throws: `Failure` when nobody reads any more.
    static func line(_ text: String) throws {
        guard self.write(text, to: 1) else { throw Failure("standard output is closed") }
    }

    /// What an operator should see, and a program that reads the output should not.
    static func error(_ text: String) { _ = self.write(text, to: 2) }

    private static func write(_ text: String, to descriptor: CInt) -> Bool {
        var bytes = ByteBuffer(string: text + "\n")
        while bytes.readableBytes > 0 {
            let written = bytes.withUnsafeReadableBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written > 0 {
                bytes.moveReaderIndex(forwardBy: written)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Lines of text under one another, each column as wide as its widest cell but the last.
    static func columns(_ rows: [[String]]) -> [String] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: max(0, min(widths[column], 60) - cell.count))
            }.joined(separator: "  ")
        }
    }
}

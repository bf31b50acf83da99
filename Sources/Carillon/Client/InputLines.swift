import Glibc

/// The lines of standard input, each as soon as it is complete; the last one needs no line end.
///
/// Reading blocks a thread of its own, and only one line is read ahead of who takes them.
struct InputLines: AsyncSequence {
    typealias Element = String

    func makeAsyncIterator() -> Iterator { Iterator() }

    struct Iterator: AsyncIteratorProtocol {
        private var buffer: [UInt8] = []
        private var start = 0
        private var isAtEnd = false
        /// A longer line is cut: the publish API takes none so large.
        private static let lineLimit = 64 * 1_024 * 1_024

        mutating func next() async -> String? {
            while true {
                if let end = self.buffer[self.start...].firstIndex(of: UInt8(ascii: "\n")) {
                    defer { self.start = end + 1 }
                    return Self.text(self.buffer[self.start..<end])
                }
                if self.isAtEnd || self.buffer.count - self.start > Self.lineLimit {
                    defer {
                        self.buffer = []
                        self.start = 0
                    }
                    return self.start < self.buffer.count ? Self.text(self.buffer[self.start...]) : nil
                }
                self.buffer.removeFirst(self.start)
                self.start = 0
                let chunk = await Self.chunk()
                if chunk.isEmpty { self.isAtEnd = true }
                self.buffer += chunk
            }
        }

        private static func text(_ bytes: ArraySlice<UInt8>) -> String {
            String(decoding: bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes, as: UTF8.self)
        }

        /// The next bytes; none at the end, and when reading fails.
        private static func chunk() async -> [UInt8] {
            await BlockingCall.run {
                var chunk = [UInt8](repeating: 0, count: 65_536)
                while true {
                    let count = read(0, &chunk, chunk.count)
                    if count < 0, errno == EINTR { continue }
                    return Array(chunk.prefix(Swift.max(count, 0)))
                }
            }
        }
    }
}

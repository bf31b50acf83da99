import Glibc
import NIOCore

/// Reads events from one descriptor and answers them on another, on a thread of its own.
///
/// Every event is answered `OK` as soon as it was taken: supervisord never waits for the layer, nor for anything else.
package struct EventPump: Sendable {
    private let input: CInt
    private let output: CInt

    /// - Parameters: descriptors that stay the caller's: standard input and output under supervisord.
    package init(input: CInt, output: CInt) {
        self.input = input
        self.output = output
    }

    /// Blocks until supervisord closes its side.
    ///
    /// - Parameter take: called for each event, before it is answered; must not block.
    /// - Throws: `DialogueError`, or `PumpError` when a descriptor cannot be used.
    package func run(_ take: (SupervisorEvent) -> Void) throws {
        var dialogue = ListenerDialogue()
        try self.write(ListenerDialogue.ready)
        while let bytes = try self.read() {
            dialogue.receive(bytes)
            while let event = try dialogue.next() {
                take(event)
                try self.write(ListenerDialogue.accepted)
                try self.write(ListenerDialogue.ready)
            }
        }
    }

    private func read() throws(PumpError) -> ByteBuffer? {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(self.input, &chunk, chunk.count)
            if count > 0 { return ByteBuffer(bytes: chunk[..<count]) }
            if count == 0 { return nil }
            if errno != EINTR { throw PumpError(what: "reading from supervisord", code: errno) }
        }
    }

    private func write(_ text: StaticString) throws(PumpError) {
        var sent = 0
        while sent < text.utf8CodeUnitCount {
            let count = Glibc.write(self.output, text.utf8Start + sent, text.utf8CodeUnitCount - sent)
            if count >= 0 {
                sent += count
            } else if errno != EINTR {
                throw PumpError(what: "answering supervisord", code: errno)
            }
        }
    }
}

/// A descriptor that cannot be used any more.
package struct PumpError: Error, CustomStringConvertible {
    let what: String
    let code: CInt

    package var description: String { "\(self.what) failed: \(String(cString: strerror(self.code)))" }
}

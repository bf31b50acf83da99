package import NIOCore

/// One side of the dialogue between supervisord and an event listener: bytes from supervisord in, events out.
///
/// supervisord sends a header line and a payload, and waits for the answer before it sends more; what the listener writes
/// is its own (`ready`, `accepted`). Source: supervisord's event listener protocol, version 3.0.
///
/// The header announces the payload's length in *characters* (code points), not bytes, so the payload's end is found by
/// counting bytes that begin one.
package struct ListenerDialogue {
    /// What a listener says when it wants an event.
    package static let ready: StaticString = "READY\n"
    /// The only answer ever given to an event. Anything else is a rejection, and is sent again at once, for ever.
    package static let accepted: StaticString = "RESULT 2\nOK"

    /// A header line is eight short pairs.
    private static let headerLimit = 4_096
    /// One event of process output carries up to 128 KiB, each byte written with up to four characters.
    private static let payloadLimit = 4 * 1_024 * 1_024

    private var waiting = ByteBuffer()
    private var header: EventHeader?
    /// Bytes of the payload that were counted, and the characters that begin in them.
    private var counted = (bytes: 0, characters: 0)

    package init() {}

    /// Takes what was read from supervisord.
    package mutating func receive(_ bytes: ByteBuffer) { self.waiting.writeImmutableBuffer(bytes) }

    /// The next event, or `nil` when more bytes are needed.
    ///
    /// - Throws: `DialogueError` when the two sides have lost each other; only a new start cures that.
    package mutating func next() throws(DialogueError) -> SupervisorEvent? {
        if self.header == nil { self.header = try self.takeHeader() }
        guard let header = self.header else { return nil }
        guard header.length <= Self.payloadLimit else { throw .payloadTooLong(header.length) }
        guard let length = self.payloadBytes(of: header.length), let payload = self.waiting.readString(length: length)
        else { return nil }
        self.header = nil
        self.counted = (0, 0)
        self.waiting.discardReadBytes()
        return SupervisorEvent(header: header, payload: payload)
    }

    private mutating func takeHeader() throws(DialogueError) -> EventHeader? {
        guard let end = self.waiting.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else {
            guard self.waiting.readableBytes <= Self.headerLimit else { throw .headerTooLong }
            return nil
        }
        let length = end - self.waiting.readerIndex
        guard length <= Self.headerLimit, let line = self.waiting.readString(length: length) else {
            throw .headerTooLong
        }
        self.waiting.moveReaderIndex(forwardBy: 1)
        guard let header = EventHeader(line: line) else { throw .malformedHeader(line) }
        return header
    }

    /// How many bytes `characters` code points take; `nil` when they have not all arrived. What was counted is not
    /// counted again.
    private mutating func payloadBytes(of characters: Int) -> Int? {
        var (bytes, count) = self.counted
        for byte in self.waiting.readableBytesView.dropFirst(bytes) {
            // Ten at the top: the character goes on.
            if byte & 0xC0 != 0x80 {
                if count == characters { return bytes }
                count += 1
            }
            bytes += 1
        }
        self.counted = (bytes, count)
        // supervisord sends nothing more until it is answered: the last character's own length is told by its first byte.
        return count == characters && self.lastCharacterIsWhole(upTo: bytes) ? bytes : nil
    }

    private func lastCharacterIsWhole(upTo end: Int) -> Bool {
        guard end > 0 else { return true }
        let tail = self.waiting.readableBytesView.prefix(end).suffix(4).reversed()
        for (following, byte) in tail.enumerated() where byte & 0xC0 != 0x80 {
            let wanted = byte < 0xC0 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3
            return following >= wanted
        }
        return true
    }
}

/// Why the dialogue cannot go on.
package enum DialogueError: Error, Equatable, CustomStringConvertible {
    case headerTooLong
    case malformedHeader(String)
    case payloadTooLong(Int)

    package var description: String {
        switch self {
        case .headerTooLong: "no header line within 4096 bytes"
        case .malformedHeader(let line): "\"\(line.prefix(200))\" is no header line of an event"
        case .payloadTooLong(let length): "an event of \(length) characters is announced; the limit is 4194304"
        }
    }
}

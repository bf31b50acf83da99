import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

@Suite struct RedisReplyDecoderTests {
    private enum Seen: Equatable {
        case reply(RedisReply)
        case message(String, String)
    }

    private func bulk(_ text: String) -> RedisReply { .bulk(ByteBuffer(string: text)) }

    /// What comes out when the bytes come in pieces of `size`.
    private func decode(
        _ bytes: [UInt8], pieces size: Int = .max, messages: Bool = false, limits: RedisReplyLimits = .init()
    ) throws(RedisError) -> [Seen] {
        let decoder = try RedisReplyDecoder(limits: limits)
        if messages { decoder.expectMessages() }
        var seen: [Seen] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = ByteBuffer(bytes: rest.prefix(size))
            rest = rest.dropFirst(size)
            var outcome: Result<Void, RedisError> = .success(())
            piece.withUnsafeReadableBytes { bytes in
                do throws(RedisError) {
                    try decoder.decode(bytes) { arrival in
                        switch arrival {
                        case .reply(let reply): seen.append(.reply(reply))
                        case .message(let channel, let payload):
                            seen.append(.message(String(buffer: channel), String(buffer: payload)))
                        }
                        return true
                    }
                } catch {
                    outcome = .failure(error)
                }
            }
            try outcome.get()
        }
        return seen
    }

    private static let mixed =
        "+OK\r\n:-42\r\n$-1\r\n$0\r\n\r\n$5\r\na\r\nbc\r\n*-1\r\n*0\r\n*3\r\n:1\r\n*2\r\n+x\r\n$1\r\ny\r\n-ERR no\r\n-OOM full\r\n"

    private var mixedReplies: [Seen] {
        [
            .reply(.simple("OK")), .reply(.integer(-42)), .reply(.null), .reply(self.bulk("")),
            .reply(self.bulk("a\r\nbc")), .reply(.null), .reply(.array([])),
            .reply(
                .array([
                    .integer(1), .array([.simple("x"), self.bulk("y")]), .error(RedisServerError(message: "ERR no")),
                ])), .reply(.error(RedisServerError(message: "OOM full"))),
        ]
    }

    @Test(arguments: [1, 2, 3, 7, 1_000]) func answersAreReadHoweverTheyAreCut(_ size: Int) throws {
        #expect(try self.decode(Array(Self.mixed.utf8), pieces: size) == self.mixedReplies)
        #expect(try self.decode(Array(Self.mixed.utf8), pieces: size, messages: true) == self.mixedReplies)
    }

    private static let pushes =
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"
        + "*3\r\n$8\r\nsmessage\r\n$2\r\nbc\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        // Nearly messages.
        + "*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n*3\r\n$8\r\nsmessage\r\n$1\r\nx\r\n*1\r\n+y\r\n"
        + "*3\r\n*3\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n*3\r\n$7\r\nmessage\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n:5\r\n"

    @Test(arguments: [1, 2, 5, 1_000]) func messagesAreToldFromOtherPushes(_ size: Int) throws {
        let expected: [Seen] = [
            .reply(.array([self.bulk("subscribe"), self.bulk("a"), .integer(1)])), .message("a", "hi"),
            .message("bc", ""), .reply(.array([self.bulk("pong"), self.bulk("")])),
            .reply(.array([self.bulk("message"), .integer(1), self.bulk("x")])),
            .reply(.array([self.bulk("smessage"), self.bulk("x"), .array([.simple("y")])])),
            .reply(.array([.array([.integer(1), .integer(2), .integer(3)]), .integer(4), .integer(5)])),
            .reply(
                .array([
                    self.bulk("message"), .array([self.bulk("message"), self.bulk("a"), self.bulk("b")]), .integer(5),
                ])),
        ]
        #expect(try self.decode(Array(Self.pushes.utf8), pieces: size, messages: true) == expected)
    }

    @Test func aMessageThatIsKeptStaysAsItIs() throws {
        let decoder = try RedisReplyDecoder()
        decoder.expectMessages()
        var kept: [ByteBuffer] = []
        for text in ["first", "second"] {
            let push = ByteBuffer(string: "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$\(text.utf8.count)\r\n\(text)\r\n")
            try push.withUnsafeReadableBytes { bytes in
                try decoder.decode(bytes) { arrival in
                    if case .message(_, let payload) = arrival { kept.append(payload) }
                    return true
                }
            }
        }
        #expect(kept.map { String(buffer: $0) } == ["first", "second"])
    }

    /// Messages with other pushes and halves of messages between them: what reads the plain ones finds its way back.
    @Test(arguments: [61, 64, 65, 1_000, 100_000]) func manyMessagesAreReadInOrder(_ size: Int) throws {
        var bytes: [UInt8] = []
        var expected: [Seen] = []
        for number in 0..<2_000 {
            // With line ends of its own.
            let payload = String(repeating: "\r\n\(number)$3", count: number % 40)
            bytes += Array("*3\r\n$7\r\nmessage\r\n$5\r\ntopic\r\n$\(payload.utf8.count)\r\n\(payload)\r\n".utf8)
            expected.append(.message("topic", payload))
            guard number % 97 == 0 else { continue }
            bytes += Array("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:\(number)\r\n".utf8)
            expected.append(.reply(.array([self.bulk("subscribe"), self.bulk("a"), .integer(Int64(number))])))
        }
        #expect(try self.decode(bytes, pieces: size, messages: true) == expected)
    }

    @Test func numbersAreReadAsHiredisReadsThem() throws {
        let numbers = ["0", "7", "-1", "10", "999999999", "1000000000", "9223372036854775807", "-9223372036854775808"]
        let bytes = numbers.flatMap { Array(":\($0)\r\n".utf8) }
        #expect(try self.decode(bytes) == numbers.map { .reply(.integer(Int64($0) ?? 0)) })
        for wrong in [":\r\n", ":00\r\n", ":01\r\n", ":1x\r\n", ":9223372036854775808\r\n"] {
            #expect(throws: RedisError.self, "\(wrong)") { try self.decode(Array(wrong.utf8)) }
        }
    }

    @Test func aLargeAnswerIsRead() throws {
        let text = String(repeating: "0123456789", count: 200_000)
        #expect(
            try self.decode(Array("$\(text.utf8.count)\r\n\(text)\r\n:1\r\n".utf8)) == [
                .reply(self.bulk(text)), .reply(.integer(1)),
            ])
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", ":abc\r\n", "$-2\r\n", "*-5\r\n", "$999999999999999999999\r\n", "!\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "*2000000000\r\n", "\u{15}\u{3}\u{3}",
    ]) func whatIsNoAnswerIsRefused(_ text: String) {
        let error = #expect(throws: RedisError.self) { try self.decode(Array(text.utf8)) }
        #expect(error?.code == .notRedis)
    }

    @Test func anAnswerIsBounded() {
        let limits = RedisReplyLimits(bytes: 20_000, values: 10)
        #expect(throws: RedisError.self) { try self.decode(Array("*11\r\n".utf8), limits: limits) }
        #expect(throws: RedisError.self) {
            try self.decode(Array("*6\r\n*5\r\n".utf8), limits: limits)
        }
        #expect(throws: RedisError.self) {
            try self.decode(Array("$100000\r\n".utf8) + [UInt8](repeating: 0, count: 30_000), limits: limits)
        }
        #expect(throws: Never.self) {
            try self.decode(
                Array(String(repeating: "*9\r\n" + String(repeating: ":1\r\n", count: 9), count: 50).utf8),
                limits: limits)
        }
    }

    /// Whatever comes is read or refused; and cut differently it is read the same.
    @Test func garbageNeverHarms() throws {
        var mutator = Mutator(
            corpus: [Array(Self.mixed.utf8), Array(Self.pushes.utf8), Array("*1000000\r\n$3\r\n".utf8)],
            interesting: Array("*$:+-0123456789\r\n".utf8), seed: 11)
        let limits = RedisReplyLimits(bytes: 100_000, values: 10_000)
        for _ in 0..<4_000 {
            let bytes = mutator.next()
            let whole = Result { try self.decode(bytes, messages: true, limits: limits) }
            let pieces = Result { try self.decode(bytes, pieces: 3, messages: true, limits: limits) }
            if case .success(let whole) = whole, case .success(let pieces) = pieces { #expect(whole == pieces) }
        }
    }
}

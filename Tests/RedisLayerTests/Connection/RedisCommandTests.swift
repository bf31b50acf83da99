import CHiredis
import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

@Suite struct RedisCommandTests {
    /// What hiredis' own formatter makes of the same arguments.
    private func formatted(_ arguments: [[UInt8]]) -> ByteBuffer {
        let copies = arguments.map { bytes in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: max(bytes.count, 1))
            for (index, byte) in bytes.enumerated() { copy[index] = CChar(bitPattern: byte) }
            return copy
        }
        defer { for copy in copies { copy.deallocate() } }
        var target: UnsafeMutablePointer<CChar>?
        var pointers = copies.map { UnsafePointer<CChar>?.some(UnsafePointer($0)) }
        let count = redisFormatCommandArgv(&target, Int32(arguments.count), &pointers, arguments.map(\.count))
        defer { redisFreeCommand(target) }
        return ByteBuffer(bytes: UnsafeRawBufferPointer(start: target, count: Int(count)))
    }

    private func wire(_ command: RedisCommand) -> ByteBuffer {
        var buffer = ByteBuffer()
        command.write(into: &buffer)
        return buffer
    }

    @Test func commandsAreWhatHiredisFormats() {
        var command = RedisCommand("ZADD")
        command.append("asgi", ":group:é")
        command.append(1_795_234_693.8188162)
        command.append(ByteBuffer(bytes: [0, 13, 10, 255]))
        command.append(Int64.min)
        command.append(UInt64.max)
        command.append(0)
        command.append("")
        let numbers = ["1795234693.8188162", "-9223372036854775808", "9223372036854775807", "0", ""].map {
            Array($0.utf8)
        }
        let arguments =
            [Array("ZADD".utf8), Array("asgi:group:é".utf8), numbers[0], [0, 13, 10, 255]] + numbers.dropFirst()
        #expect(self.wire(command) == self.formatted(arguments))
    }

    @Test func anySizesAreWhatHiredisFormats() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<300 {
            let arguments = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                (0..<Int.random(in: 0...120, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator)
                }
            }
            var command = RedisCommand()
            for argument in arguments { command.append(ByteBuffer(bytes: argument)) }
            #expect(self.wire(command) == self.formatted(arguments))
            #expect(command.size == self.wire(command).readableBytes)
        }
    }

    /// The length goes before what was written already, whatever room it takes.
    @Test(arguments: [0, 1, 9, 10, 99, 100, 999, 1_000, 9_999, 10_000, 1_234_567])
    func anArgumentMayBeWrittenInPlace(_ size: Int) {
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        var command = RedisCommand("PUBLISH")
        command.append("topic")
        command.append { $0.writeBytes(payload) }
        command.append("end")
        #expect(
            self.wire(command)
                == self.formatted(["PUBLISH", "topic"].map { Array($0.utf8) } + [payload, Array("end".utf8)]))
    }

    @Test func anArgumentThatCannotBeWrittenLeavesNothing() {
        var command = RedisCommand("PUBLISH")
        #expect(throws: CancellationError.self) {
            try command.append { bytes throws(CancellationError) in
                bytes.writeString("half of it")
                throw CancellationError()
            }
        }
        command.append("topic")
        #expect(self.wire(command) == self.formatted([Array("PUBLISH".utf8), Array("topic".utf8)]))
    }

    @Test func aScriptIsKnownByItsDigest() {
        let script = RedisScript("return 1")
        #expect(script.digest == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
        var command = RedisCommand(running: script, keys: 1)
        command.append("key")
        #expect(
            String(buffer: self.wire(command))
                == "*4\r\n$7\r\nEVALSHA\r\n$40\r\n\(script.digest)\r\n$1\r\n1\r\n$3\r\nkey\r\n")
    }
}

import HTTP1
import NIOCore
import Testing
import TestSupport

/// Whatever comes, the reader answers or throws, and says the same however the bytes are cut.
@Suite struct RequestFuzzTests {
    @Test func mutatedRequestsComeOutTheSameHoweverCut() throws {
        var mutator = Mutator(
            corpus: RequestShape.all.map(\.bytes).filter { $0.count < 600 },
            interesting: Array("\r\n :,;=\t\0\"%\u{7F}0159afHTP/.".utf8), seed: 0x9112)
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<3000 {
            let bytes = mutator.next()
            let first = Int.random(in: 0...bytes.count, using: &generator)
            let second = Int.random(in: first...bytes.count, using: &generator)
            let whole = Reading(bytes)
            let cut = Reading([bytes[..<first], bytes[first..<second], bytes[second...]].map { Array($0) })
            try #require(
                whole.isSame(as: cut),
                "\(String(decoding: bytes, as: UTF8.self).debugDescription) at \(first), \(second)")
        }
    }

    /// What was taken and is written again means the same, so a proxy cannot make something else of it.
    @Test func whatWasTakenIsWrittenAsItWasMeant() throws {
        var mutator = Mutator(
            corpus: RequestShape.taken.map(\.bytes), interesting: Array("\r\n :,;=\t\"%09HTP/.".utf8), seed: 0x9110)
        var taken = 0
        for _ in 0..<4000 {
            var buffer = ByteBuffer(bytes: mutator.next())
            var parser = RequestHeadParser()
            guard let head = try? parser.parse(&buffer) else { continue }
            taken += 1
            var written = ByteBuffer()
            written.writeRequestHead(head)
            var second = RequestHeadParser()
            let again = try second.parse(&written)
            try #require(again == head && written.readableBytes == 0, "\(head)")
            // Everything that is said about it holds, and can be asked without harm.
            _ = (head.path, head.query, head.originForm, head.authority, head.keepAlive, try? head.decodedPath())
            _ = (QueryItems(head.query), Cookies(head.fields)["a"], head.fields.accepts("text/event-stream"))
            #expect(throws: Never.self) { try head.framing() }
        }
        #expect(taken > 300)
    }

    @Test func limitsHoldForWhateverComes() {
        let limits = HeadLimits(headBytes: 64, fields: 2, targetBytes: 8)
        var mutator = Mutator(corpus: RequestShape.all.map(\.bytes), interesting: Array("\r\n: /".utf8), seed: 3)
        for _ in 0..<2000 {
            let bytes = mutator.next()
            var (buffer, parser) = (ByteBuffer(bytes: bytes), RequestHeadParser(limits: limits))
            do throws(HTTP1Error) {
                let head = try parser.parse(&buffer)
                guard let head else {
                    #expect(buffer.readableBytes < limits.headBytes)
                    continue
                }
                #expect(head.fields.count <= 2 && head.target.utf8.count <= 8)
                #expect(bytes.count - buffer.readableBytes <= limits.headBytes + 2)
            } catch {
                #expect([400, 414, 431, 501, 505].contains(error.status))
            }
        }
    }
}

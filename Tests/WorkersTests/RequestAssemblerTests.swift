import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import Workers

struct RequestAssemblerTests {
    private let corpus =
        "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
        + "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        + "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n"
        + "PUT /d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok"
        + "GET /e HTTP/1.0\r\n\r\n"

    /// What comes out, as a line each, when the bytes come in pieces of these sizes.
    private func outcome(_ bytes: [UInt8], pieces: () -> Int) -> [String] {
        var assembler = RequestAssembler(headLimits: HeadLimits(), bodyLimit: 100)
        var input = ByteBuffer()
        var lines: [String] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(max(1, pieces()))
            rest = rest.dropFirst(piece.count)
            input.writeBytes(piece)
            steps: while true {
                switch assembler.next(&input) {
                case .needsBytes: break steps
                case .sendContinue: continue
                case .complete(let head, let body):
                    lines.append("\(head.method) \(head.target) \(String(buffer: body))")
                case .refuse(let status, _):
                    lines.append("\(status)")
                    return lines
                }
            }
        }
        return lines
    }

    @Test func howeverTheBytesAreCutTheSameRequestsComeOut() {
        let bytes = Array(self.corpus.utf8)
        let whole = self.outcome(bytes) { bytes.count }
        #expect(whole == ["GET /a?b=c ", "POST /b hello", "POST /c abcde", "PUT /d ok", "GET /e "])
        for size in 1...60 { #expect(self.outcome(bytes) { size } == whole) }
    }

    @Test func theClientIsToldToContinueOnlyWhenItsBodyIsWanted() {
        func steps(_ fields: String, body: String = "") -> RequestAssembler.Step {
            var assembler = RequestAssembler(headLimits: HeadLimits(), bodyLimit: 100)
            var input = ByteBuffer(string: "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n\(fields)\r\n\(body)")
            return assembler.next(&input)
        }
        guard case .sendContinue = steps("Content-Length: 3\r\n") else {
            Issue.record("no 100 for a body that is wanted")
            return
        }
        guard case .complete = steps("Content-Length: 3\r\n", body: "abc") else {
            Issue.record("a 100 although the body is there")
            return
        }
        guard case .complete = steps("") else {
            Issue.record("a 100 although there is no body")
            return
        }
        guard case .refuse(413, _) = steps("Content-Length: 101\r\n") else {
            Issue.record("a body that is too large is waited for")
            return
        }
    }

    /// Mutated bytes end in requests or in a refusal, the same however they are cut, and never trap.
    @Test func hostileBytesAreReadTheSameHoweverTheyAreCut() {
        var random = SeededGenerator(seed: 11)
        let corpus = Array(self.corpus.utf8)
        for _ in 0..<400 {
            var bytes = corpus
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.insert(contentsOf: "\r\n :,;0\u{0}".utf8.shuffled(using: &random).prefix(2), at: index)
                case 2: bytes.remove(at: index)
                default: bytes.insert(contentsOf: bytes[index..<min(bytes.count, index + 20)], at: index)
                }
            }
            let whole = self.outcome(bytes) { bytes.count }
            let cut = self.outcome(bytes) { Int.random(in: 1...40, using: &random) }
            #expect(whole == cut)
        }
    }
}

package import HTTP1
package import NIOCore

/// Makes whole requests of the bytes of one connection, one after the other. No I/O, no clock.
package struct RequestAssembler {
    package enum Step: Sendable {
        /// Ask again when more has come.
        case needsBytes
        /// The client waits for `100 Continue` before it sends the body. Send it, then ask again.
        case sendContinue
        /// A whole request; the next one begins after it.
        case complete(RequestHead, body: ByteBuffer)
        /// Answer with this status and close: where the next request would begin is unknown or unwanted.
        case refuse(status: Int, message: String)
    }

    /// How far the present request has come; each stage has a time limit of its own.
    package enum Stage: Sendable { case nothing, head, body }

    private enum State {
        case head
        case body(RequestHead, BodyDecoder, collected: ByteBuffer)
        case refused
    }

    private let bodyLimit: Int
    private var state = State.head
    private var parser: RequestHeadParser

    package private(set) var stage = Stage.nothing

    /// - Parameter bodyLimit: bytes of one body; more is answered 413.
    package init(headLimits: HeadLimits, bodyLimit: Int) {
        self.bodyLimit = bodyLimit
        self.parser = RequestHeadParser(limits: headLimits)
    }

    /// Takes what it can use from the front of `input`.
    package mutating func next(_ input: inout ByteBuffer) -> Step {
        do {
            switch self.state {
            case .refused:
                return .needsBytes
            case .head:
                if input.readableBytes > 0 { self.stage = .head }
                guard let head = try self.parser.parse(&input) else { return .needsBytes }
                return try self.begin(head, hasBytes: input.readableBytes > 0) ?? self.next(&input)
            case .body(let head, var decoder, var collected):
                self.state = .refused  // frees the buffer below from being copied; set anew before returning
                while let part = try decoder.next(&input) {
                    switch part {
                    case .bytes(var bytes):
                        collected.writeBuffer(&bytes)
                    case .end:
                        self.startOver()
                        return .complete(head, body: collected)
                    }
                }
                self.state = .body(head, decoder, collected: collected)
                return .needsBytes
            }
        } catch {
            return self.refuse(error.status, error.message)
        }
    }

    /// Looks at a complete head.
    ///
    /// - Returns: `nil` to go on with the body at once.
    private mutating func begin(_ head: RequestHead, hasBytes: Bool) throws(HTTP1Error) -> Step? {
        let framing = try head.framing()
        if case .length(let length) = framing, length > self.bodyLimit {
            return self.refuse(413, "The body has \(length) bytes; at most \(self.bodyLimit) are taken.")
        }
        var expectsContinue = false
        if let expectation = head.fields["Expect"], head.version == .http11 {
            guard expectation.lowercased() == "100-continue" else {
                return self.refuse(417, "The only expectation understood is 100-continue.")
            }
            expectsContinue = true
        }
        if framing == .none || framing == .length(0) {
            self.startOver()
            return .complete(head, body: ByteBuffer())
        }
        self.stage = .body
        self.state = .body(
            head, BodyDecoder(framing: framing, limit: self.bodyLimit), collected: ByteBuffer())
        return expectsContinue && !hasBytes ? .sendContinue : nil
    }

    private mutating func refuse(_ status: Int, _ message: String) -> Step {
        self.state = .refused
        return .refuse(status: status, message: message)
    }

    private mutating func startOver() {
        self.stage = .nothing
        self.state = .head
    }
}

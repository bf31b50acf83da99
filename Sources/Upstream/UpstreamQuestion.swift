import HTTP1
import NIOCore
import Sockets

/// A request whose whole answer is collected. Lives on its pool's event loop, from `ask` to the promise's completion.
final class UpstreamQuestion: UpstreamExchange, Watched {
    private let request: UpstreamRequest
    private let pool: UpstreamPool
    private let limit: Int
    private let timeout: TimeAmount
    /// `nil` once the answer, or the error, has been given.
    private var promise: EventLoopPromise<UpstreamAnswer>?
    private var ticket: UpstreamTicket?
    private var connection: UpstreamConnection?
    private var head: ResponseHead?
    private var body = ByteBuffer()
    private var repeats = 0
    private var tried: Set<Int> = []

    private(set) var deadline = NIODeadline.distantFuture
    var watchIndex = -1

    init(
        _ request: UpstreamRequest, pool: UpstreamPool, timeout: TimeAmount, limit: Int,
        promise: EventLoopPromise<UpstreamAnswer>
    ) {
        self.request = request
        self.pool = pool
        self.limit = limit
        self.timeout = timeout
        self.promise = promise
    }

    func ask() {
        self.pool.watch.add(self)
        self.deadline = self.pool.watch.deadline(in: self.timeout)
        self.ticket = self.pool.acquire(for: self)
    }

    func deadlinePassed() {
        self.giveUp(UpstreamError(.timedOut, "no answer within \(self.timeout.nanoseconds / 1_000_000) ms"))
    }

    // MARK: UpstreamExchange

    func upstreamReady(_ connection: UpstreamConnection) {
        self.ticket = nil
        self.connection = connection
        do throws(HTTP1Error) {
            let bytes = try self.bytes(to: connection.address)
            connection.start(bytes, method: self.request.method, isComplete: true)
        } catch {
            self.giveUp(UpstreamError(.badAnswer, error.message))
        }
    }

    func upstreamHead(_ head: ResponseHead, framing: BodyFraming) {
        guard head.status >= 200 else {
            // No question asks for an upgrade.
            if head.status == 101 { self.giveUp(UpstreamError(.badAnswer, "101 without an upgrade")) }
            return
        }
        if case .length(let length) = framing, length > self.limit { return self.giveUp(self.tooLarge) }
        self.head = head
    }

    func upstreamBody(_ bytes: ByteBuffer) {
        guard bytes.readableBytes <= self.limit - self.body.readableBytes else { return self.giveUp(self.tooLarge) }
        self.body.writeImmutableBuffer(bytes)
    }

    func upstreamEnd(trailers: HeaderFields) {
        self.connection = nil
        guard let head = self.head else {
            return self.finish(.failure(UpstreamError(.badAnswer, "an answer without a head")))
        }
        self.finish(.success(UpstreamAnswer(head: head, body: self.body)))
    }

    func upstreamFailed(_ error: UpstreamError) {
        self.connection = nil
        self.ticket = nil
        if self.promise != nil, self.head == nil,
            let next = RetryRule.next(
                after: error, method: self.request.method, isHarmless: self.request.isHarmless, isReplayable: true,
                repeats: self.repeats, retries: self.pool.retries),
            self.pool.canRepeat(next, after: error)
        {
            self.repeats += 1
            if let upstream = error.upstream, next == .elsewhere { self.tried.insert(upstream) }
            self.ticket = self.pool.acquire(for: self, fresh: true, excluding: self.tried)
            return
        }
        self.finish(.failure(error))
    }

    func upstreamTunnelEnded() {}
    func upstreamReadComplete() {}
    func upstreamWritable(_ isWritable: Bool) {}

    // MARK: Ends

    private var tooLarge: UpstreamError { UpstreamError(.tooLarge, "the answer has more than \(self.limit) bytes") }

    private func giveUp(_ error: UpstreamError) {
        self.ticket?.withdraw()
        self.ticket = nil
        self.connection?.abandon()
        self.connection = nil
        self.finish(.failure(error))
    }

    private func finish(_ result: Result<UpstreamAnswer, UpstreamError>) {
        self.pool.watch.remove(self)
        self.promise?.completeWith(result.mapError { $0 as any Error })
        self.promise = nil
    }

    private func bytes(to address: UpstreamAddress) throws(HTTP1Error) -> ByteBuffer {
        var fields = self.request.fields
        if !fields.contains("Host") { fields.append("Host", address.hostField) }
        fields.removeAll("Connection")
        fields.removeAll("Transfer-Encoding")
        fields.removeAll("Content-Length")
        let length = self.request.body.readableBytes
        if length > 0 || !["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"].contains(self.request.method) {
            fields.append("Content-Length", "\(length)")
        }
        var bytes = ByteBuffer()
        let head = RequestHead(
            method: self.request.method, target: self.request.target, version: .http11, fields: fields)
        guard !address.isFastCGI else {
            try FastCGIRequest.write(
                head, facts: FastCGIFacts(), options: self.pool.fastCGI, bodyLength: length, to: &bytes)
            bytes.writeFastCGIInput(self.request.body)
            bytes.writeFastCGIInputEnd()
            return bytes
        }
        bytes.writeRequestHead(head)
        bytes.writeImmutableBuffer(self.request.body)
        return bytes
    }
}

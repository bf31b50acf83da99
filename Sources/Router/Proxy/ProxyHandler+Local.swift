import Files
import HTTP1
import NIOCore
import NIOPosix

/// A file on its way to the browser, piece by piece.
final class FileSending {
    /// Bytes that are in memory at a time.
    static let pieceBytes = 65_536

    let file: OpenFile
    var next: Int
    let end: Int
    /// A piece is being read.
    var isReading = false

    init(_ file: OpenFile, _ range: Range<Int>) {
        self.file = file
        self.next = range.lowerBound
        self.end = range.upperBound
    }
}

/// What the proxy answers by itself: redirects, files and short pages.
extension ProxyHandler {
    /// - Returns: whether the request is none for an upstream; it is answered then, now or soon.
    func answerHere(_ exchange: ProxyExchange) -> Bool {
        if self.isMisdirected(exchange) {
            self.answer(
                exchange, status: 421, code: "misdirected", reason: "This host is asked for on a connection of its own."
            )
            return true
        }
        if exchange.plan.route.clientCertificate == .required, !self.hasCertificate(exchange) {
            self.answer(
                exchange, status: 403, code: "certificate_required", reason: "A client certificate is needed here.")
            return true
        }
        if let left = exchange.plan.maxForwards, left <= 0 {
            self.answer(exchange, status: 204)
            return true
        }
        switch exchange.plan.route.target {
        case .pool: return false
        case .redirect(let redirect):
            let host = exchange.plan.hostFromTarget ?? exchange.plan.host
            let location = redirect.location(target: exchange.plan.target, host: host)
            self.answer(exchange, status: redirect.status, [("Location", location)])
        case .files(let folder): self.openFile(exchange, folder)
        }
        return true
    }

    private func isMisdirected(_ exchange: ProxyExchange) -> Bool {
        guard let tls = self.identity.transport.tls, let host = exchange.plan.hostFromTarget ?? exchange.plan.host
        else {
            return false
        }
        return tls.misdirects(host)
    }

    /// Whether the browser has proved who it is: to us, or to a trusted proxy that ends TLS in front of us.
    private func hasCertificate(_ exchange: ProxyExchange) -> Bool {
        let transport = self.identity.transport
        guard !transport.isSecure else { return transport.certificate?.certificate != nil }
        return self.identity.isTrusted && exchange.head.fields["X-SSL-Client-Verify"] == "SUCCESS"
    }

    /// Answers with fields, and a page when there is something to say.
    ///
    /// - Parameter code: why there is no better answer, in a word; told to who asks from this host.
    func answer(
        _ exchange: ProxyExchange, status: Int, _ fields: [(String, String)] = [], code: String? = nil,
        reason: String? = nil
    ) {
        guard let keepsAlive = self.beginOwnAnswer(exchange, status: status) else { return }
        let page = reason.map {
            ShortPage.page(status: status, reason: $0, requestID: exchange.name.description)
        }
        let hasBody = page != nil && exchange.plan.method != "HEAD"
        self.outbound.writeImmutableBuffer(
            ShortPage.head(
                status: status, fields + self.reasonFields(code, exchange.head), length: page?.utf8.count ?? 0,
                keepsAlive: keepsAlive,
                date: self.shard.clock.httpDate()))
        if let page, hasBody {
            exchange.bytesSent = page.utf8.count
            self.outbound.writeString(page)
        }
        exchange.isAnswered = true
        self.flushAnswer()
        self.finishExchange()
    }

    /// A body that is here already is read and forgotten, so that the connection can go on behind it.
    ///
    /// - Returns: whether the connection is kept; `nil` when the request turned out to be broken.
    private func beginOwnAnswer(_ exchange: ProxyExchange, status: Int) -> Bool? {
        exchange.status = status
        guard exchange.requestIsComplete || self.takeBody() != nil else { return nil }
        exchange.keepsAlive = exchange.keepsAlive && exchange.requestIsComplete && !self.inputEnded
        self.borrowScratch()
        return exchange.keepsAlive
    }

    // MARK: Files

    /// The disk may take its time, so another thread asks it.
    private func openFile(_ exchange: ProxyExchange, _ folder: FileFolder) {
        guard let eventLoop = self.context?.eventLoop else { return }
        let head = exchange.head
        guard let path = try? PercentEncoding.decode(RequestPath.pathOnly(exchange.plan.target)) else {
            return self.answer(exchange, status: 404, reason: "There is no such file here.")
        }
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            folder.answer(method: head.method, path: path, query: head.query, fields: head.fields)
        }.assumeIsolated().whenComplete { result in
            // The browser may have left, or its connection have been cut, in the meantime.
            guard self.exchange === exchange else { return }
            switch result {
            case .success(let answer): self.answer(exchange, with: answer)
            case .failure:
                self.answer(
                    exchange, status: 503, code: "overloaded", reason: "The site is busy. Please try again in a moment."
                )
            }
        }
    }

    private func answer(_ exchange: ProxyExchange, with answer: FileAnswer) {
        let fields = answer.fields.map { ($0.name, $0.value) }
        guard case .file(let file, let range) = answer.body else {
            if case .reason(let reason) = answer.body {
                return self.answer(exchange, status: answer.status, fields, reason: reason)
            }
            return self.answer(exchange, status: answer.status, fields)
        }
        guard let keepsAlive = self.beginOwnAnswer(exchange, status: answer.status) else { return }
        exchange.answer = AnswerPlan(
            framing: .length(range.count), request: exchange.plan, requestKeepsAlive: keepsAlive)
        self.outbound.writeImmutableBuffer(
            ShortPage.head(
                status: answer.status, fields, length: range.count, keepsAlive: keepsAlive,
                date: self.shard.clock.httpDate()))
        guard exchange.plan.method != "HEAD", !range.isEmpty else {
            exchange.isAnswered = true
            self.flushAnswer()
            return self.finishExchange()
        }
        exchange.file = FileSending(file, range)
        self.sendFile()
    }

    /// Reads the next piece, unless one is being read or the browser takes none.
    func sendFile() {
        guard let exchange = self.exchange, let sending = exchange.file, !sending.isReading, self.isWritable,
            let eventLoop = self.context?.eventLoop
        else { return }
        sending.isReading = true
        let (file, next) = (sending.file, sending.next)
        let count = min(FileSending.pieceBytes, sending.end - next)
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { file.read(from: next, count: count) }
            .assumeIsolated()
            .whenComplete { result in
                guard self.exchange === exchange, exchange.file === sending else { return }
                sending.isReading = false
                guard let piece = try? result.get(), piece.readableBytes > 0 else {
                    // Cut short meanwhile: fewer bytes than promised, which only the connection's end can tell.
                    return self.abort()
                }
                self.sent(piece, exchange, sending)
            }
    }

    private func sent(_ piece: ByteBuffer, _ exchange: ProxyExchange, _ sending: FileSending) {
        sending.next += piece.readableBytes
        exchange.bytesSent += piece.readableBytes
        self.send(piece)
        exchange.isAnswered = sending.next >= sending.end
        self.flushAnswer()
        guard sending.next >= sending.end else { return self.sendFile() }
        exchange.file = nil
        self.finishExchange()
    }
}

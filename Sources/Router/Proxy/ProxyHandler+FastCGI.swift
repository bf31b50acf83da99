import HTTP1
import NIOCore
import Upstream

/// What is different for upstreams that speak FastCGI.
extension ProxyHandler {
    /// Bytes of a body without a length that are collected, because such applications must be told one first.
    static let collectedBytes = 1 << 20

    /// Takes care of what must be settled before an upstream is asked.
    ///
    /// - Returns: whether the request waits for its body.
    func prepareForFastCGI(_ exchange: ProxyExchange) -> Bool {
        guard self.shard.pool(exchange.plan.route)?.speaksFastCGI == true else { return false }
        exchange.wire = .records
        // Nobody behind us says it.
        if !exchange.requestIsComplete, !exchange.plan.isHTTP10,
            exchange.head.fields.hasToken("100-continue", in: .expect)
        {
            var bytes = ByteBuffer()
            bytes.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
            self.writer?.send(bytes)
        }
        guard exchange.plan.framing == .chunked else { return false }
        exchange.collected = ByteBuffer()
        exchange.isCollecting = true
        self.collectBody(exchange)
        return true
    }

    /// Collects what has come of a body without a length; asks the upstream when it is whole.
    func collectBody(_ exchange: ProxyExchange) {
        do throws(HTTP1Error) {
            while let part = try exchange.body.next(&self.inbound) {
                guard case .bytes(let bytes) = part else {
                    exchange.requestIsComplete = true
                    break
                }
                guard (exchange.collected?.readableBytes ?? 0) + bytes.readableBytes <= Self.collectedBytes else {
                    exchange.isCollecting = false
                    return self.answer(
                        exchange, status: 411, code: "length_required",
                        reason: "A body of this size needs a Content-Length here.")
                }
                exchange.collected?.writeImmutableBuffer(bytes)
            }
        } catch {
            return self.refuse(error.status, error.code.rawValue, error.message)
        }
        guard exchange.requestIsComplete else { return self.setDeadline() }
        exchange.isCollecting = false
        exchange.plan.framing = .length(exchange.collected?.readableBytes ?? 0)
        self.setDeadline()
        self.acquire(fresh: false)
    }

    /// The request's parameters as records; `nil` when it cannot be one, and is answered already.
    func fastCGIHead(_ exchange: ProxyExchange, _ http: ByteBuffer) -> ByteBuffer? {
        var (http, records) = (http, ByteBuffer())
        var parser = RequestHeadParser(limits: HeadLimits(headBytes: 1 << 20, fields: 1_000, targetBytes: 1 << 16))
        do throws(HTTP1Error) {
            guard let head = try parser.parse(&http) else { throw HTTP1Error(.badField, "The head has no end.") }
            let length = if case .length(let length) = exchange.plan.framing { length } else { 0 }
            try FastCGIRequest.write(
                head, facts: self.identity.fastCGIFacts(exchange.head),
                options: self.shard.fastCGI(exchange.plan.route),
                bodyLength: length, to: &records)
            if length == 0 { records.writeFastCGIInputEnd() }
        } catch {
            exchange.giveUpUpstream()
            self.answer(exchange, status: 400, code: error.code.rawValue, reason: error.message)
            return nil
        }
        if let body = exchange.collected, body.readableBytes > 0 {
            records.writeFastCGIInput(body)
            records.writeFastCGIInputEnd()
        }
        return records
    }
}

extension BrowserIdentity {
    /// What a FastCGI application is told. It reads addresses from parameters and not from fields, so they are those behind
    /// trusted proxies.
    func fastCGIFacts(_ head: RequestHead) -> FastCGIFacts {
        var facts = FastCGIFacts()
        facts.remoteAddress = self.client(head)
        let scheme = self.isTrusted ? head.fields[.xForwardedProto] : nil
        facts.isSecure = self.transport.isSecure || scheme?.lowercased() == "https"
        facts.version =
            self.transport.isHTTP2 ? "HTTP/2.0" : head.version == .http10 ? "HTTP/1.0" : "HTTP/1.1"
        guard let proved = self.transport.certificate else { return facts }
        facts.certificate = [("SSL_CLIENT_VERIFY", "\(proved.verdict)")]
        guard let certificate = proved.certificate else { return facts }
        facts.certificate += [
            ("SSL_CLIENT_S_DN", certificate.subject), ("SSL_CLIENT_I_DN", certificate.issuer),
            ("SSL_CLIENT_M_SERIAL", certificate.serial), ("SSL_CLIENT_FINGERPRINT", certificate.fingerprint),
        ]
        if let name = certificate.commonName {
            facts.certificate += [
                ("SSL_CLIENT_S_DN_CN", name), ("REMOTE_USER", name), ("AUTH_TYPE", "SSL_CLIENT_VERIFY"),
            ]
        }
        return facts
    }
}

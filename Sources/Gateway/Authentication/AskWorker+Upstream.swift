package import NIOCore
package import Upstream

extension UpstreamClient {
    /// How a gateway asks the workers behind this client.
    ///
    /// - Parameters:
    ///   - timeout: until the last byte of the answer.
    ///   - limit: bytes of the answer's body; a longer one counts as none.
    package func asking(timeout: TimeAmount, limit: Int) -> AskWorker {
        { request, loop in
            let question = UpstreamRequest(
                method: request.head.method, target: request.head.target, fields: request.head.fields,
                body: request.body, isHarmless: request.isHarmless)
            return self.ask(question, timeout: timeout, limit: limit, on: loop)
                .map { AskAnswer(status: $0.status, fields: $0.head.fields, body: $0.body) }
        }
    }
}

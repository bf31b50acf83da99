package import NIOCore

extension ChannelHandlerContext {
    /// Closes when everything that was written has been taken by the system. Closing at once would drop the rest.
    package func closeAfterFlush() {
        let flushed = self.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { _ in self.close(promise: nil) }
        self.writeAndFlush(NIOAny(ByteBuffer()), promise: flushed)
    }
}

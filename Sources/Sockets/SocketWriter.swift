import Glibc
package import NIOCore

/// The sending side of one connection, on its event loop.
///
/// On plain TCP and Unix sockets what is sent at once goes to the kernel by a direct `send`, which costs half of a write
/// through the pipeline. What the kernel does not take is handed to NIO, and so are faults, which end the connection there;
/// until all that NIO has is out nothing is sent directly.
package final class SocketWriter {
    private var context: ChannelHandlerContext?
    /// -1 where there is none to write to directly: TLS, a stream of HTTP/2, a test's channel.
    private var descriptor: CInt
    /// Flushes that NIO has not finished. One that failed stays counted: the connection is ending.
    private var flushing = 0
    private var isFlushed = true
    /// What waits for `flush` alone, so that it can be sent directly.
    private var held: ByteBuffer?

    /// - Parameters:
    ///   - context: of a handler whose channel is active.
    ///   - isPlain: bytes go out as they are, without TLS or frames.
    package init(_ context: ChannelHandlerContext, isPlain: Bool) {
        self.context = context
        self.descriptor = -1
        guard isPlain else { return }
        let found = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            $0
        }
        self.descriptor = found ?? -1
    }

    /// Sends `bytes` now.
    package func send(_ bytes: ByteBuffer) {
        var rest = bytes
        if !self.sendDirectly(&rest) { self.sendLater(rest) }
    }

    /// Sends what the kernel takes at once, for those who want to know when the rest has gone out and send that through the
    /// channel.
    ///
    /// - Parameter bytes: afterwards what is left.
    /// - Returns: whether nothing is.
    package func sendDirectly(_ bytes: inout ByteBuffer) -> Bool {
        self.handOverHeld()
        guard self.descriptor >= 0, self.isFlushed, self.flushing == 0 else { return bytes.readableBytes == 0 }
        bytes.moveReaderIndex(forwardBy: Self.send(bytes, to: self.descriptor))
        return bytes.readableBytes == 0
    }

    /// Holds `bytes` until `flush`: for large ones, and where more follows at once.
    package func write(_ bytes: ByteBuffer) {
        guard self.held != nil || !self.isFlushed || self.flushing > 0 || self.descriptor < 0 else {
            self.held = bytes
            return
        }
        self.handOverHeld()
        self.isFlushed = false
        self.context?.write(NIOAny(bytes), promise: nil)
    }

    package func flush() {
        if let held = self.held {
            self.held = nil
            self.send(held)
        } else if !self.isFlushed {
            // With nothing of its own it tells when all before it has gone out.
            self.descriptor < 0 ? self.flushPipeline() : self.sendLater(ByteBuffer())
        }
    }

    private func flushPipeline() {
        self.isFlushed = true
        self.context?.flush()
    }

    /// More is to come behind it: they go out together.
    private func handOverHeld() {
        guard let held = self.held else { return }
        self.held = nil
        self.isFlushed = false
        self.context?.write(NIOAny(held), promise: nil)
    }

    /// The channel is closed: its descriptor may soon be another connection's.
    package func end() {
        self.descriptor = -1
        self.context = nil
        self.held = nil
    }

    private func sendLater(_ bytes: ByteBuffer) {
        guard let context = self.context else { return }
        self.isFlushed = true
        guard self.descriptor >= 0 else {
            return context.writeAndFlush(NIOAny(bytes), promise: nil)
        }
        self.flushing += 1
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess { self.flushing -= 1 }
        context.writeAndFlush(NIOAny(bytes), promise: promise)
    }

    /// - Returns: bytes that the kernel took; none when it fails, which NIO will see as well.
    private static func send(_ bytes: ByteBuffer, to descriptor: CInt) -> Int {
        bytes.withUnsafeReadableBytes { bytes in
            while true {
                let sent = Glibc.send(
                    descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL))
                if sent >= 0 { return sent }
                guard errno == EINTR else { return 0 }
            }
        }
    }
}

import Glibc
import NIOCore

/// The sending side of one browser's connection, on its event loop.
///
/// On plain TCP and Unix sockets bytes go to the kernel by a direct `send`, which costs half of a write through the
/// pipeline; what the kernel does not take is handed to NIO, and until that has gone out nothing is sent directly.
struct BrowserSocket {
    /// What became of bytes given to the kernel.
    enum Outcome: Equatable {
        case all
        /// So many were taken; the socket is full.
        case part(Int)
        case failed(errno: CInt)
    }

    let context: ChannelHandlerContext
    /// The descriptor, or -1 where there is none to write to directly (a test's channel).
    var descriptor: CInt

    init(context: ChannelHandlerContext) {
        self.context = context
        let found = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            $0
        }
        self.descriptor = found ?? -1
    }

    private static let sendFlags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)

    /// Static, because a socket that is called on is retained and released, for every delivery.
    ///
    /// - Parameter descriptor: a socket's own, on its loop.
    static func send(_ bytes: ByteBuffer, to descriptor: CInt) -> Outcome {
        guard descriptor >= 0 else { return .part(0) }
        return bytes.withUnsafeReadableBytes { bytes in
            while true {
                let sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Self.sendFlags)
                if sent == bytes.count { return .all }
                if sent >= 0 { return .part(sent) }
                switch errno {
                case EINTR: continue
                case EAGAIN: return .part(0)
                case let code: return .failed(errno: code)
                }
            }
        }
    }

    /// Lets the event loop send `bytes` when the socket has room.
    ///
    /// - Parameter sent: called on the loop when all of it has gone out; not when the connection is lost before.
    func sendLater(_ bytes: ByteBuffer, sent: @escaping () -> Void) {
        let promise = self.context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess(sent)
        self.context.writeAndFlush(NIOAny(bytes), promise: promise)
    }
}

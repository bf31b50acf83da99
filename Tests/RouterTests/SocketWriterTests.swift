import NIOCore
import NIOPosix
import Sockets
import Testing

/// What is sent directly and what the event loop sends arrive in one order.
struct SocketWriterTests {
    /// Pieces of many sizes, each of its own byte.
    private static let pieces = (0..<400).map { [UInt8](repeating: UInt8($0 % 251), count: 1 + $0 * 6_151 % 20_011) }

    /// Writes all pieces when its channel is active, in each of the ways there are.
    private final class Sender: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let isPlain: Bool

        init(isPlain: Bool) { self.isPlain = isPlain }

        func channelActive(context: ChannelHandlerContext) {
            let writer = SocketWriter(context, isPlain: self.isPlain)
            for (number, piece) in SocketWriterTests.pieces.enumerated() {
                let bytes = ByteBuffer(bytes: piece)
                switch number % 5 {
                case 0, 1: writer.send(bytes)
                case 2, 3: writer.write(bytes)
                default:
                    writer.write(bytes)
                    writer.flush()
                }
            }
            writer.flush()
            writer.flush()
        }

        func channelInactive(context: ChannelHandlerContext) {
            let writer = SocketWriter(context, isPlain: self.isPlain)
            writer.end()
            writer.send(ByteBuffer(string: "nobody hears this"))
            writer.write(ByteBuffer(string: "nor this"))
            writer.flush()
        }
    }

    @Test(arguments: [true, false]) func everythingArrivesInOrder(isPlain: Bool) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            // A reader that begins late finds the socket full, again and again.
            .childChannelOption(.socketOption(.so_sndbuf), value: 16_384)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Sender(isPlain: isPlain))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        let expected = Array(Self.pieces.joined())
        let read = try await blocking { try Socket.connect(port: port).read(expected.count) }
        let isSame = read == expected  // megabytes, which nobody wants to see
        #expect(isSame)
        try await listener.close()
    }
}

import Glibc
import Logging
import NIOCore
import NIOPosix
import Telemetry

/// The socket a worker listens on.
enum Listener: Sendable {
    /// Its own.
    case own(any Channel)
    /// One that it inherited.
    case shared(SharedListener)

    /// - Parameters:
    ///   - connections: expects what is accepted from an inherited socket, until it is open or has failed.
    ///   - initialize: prepares each accepted connection.
    /// - Throws: `cannotStart`, which names the address and says what to do.
    static func open(
        _ listen: WorkersConfiguration.Listen, mode: UInt16?, group: any EventLoopGroup, logger: Logger,
        connections: ConnectionRegistry, initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws -> Listener {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer(initialize)
        do {
            switch listen {
            case .tcp(let host, let port):
                return .own(try await bootstrap.bind(host: host, port: port).get())
            case .unix(let path):
                let channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true)
                    .get()
                if let mode, chmod(path, mode_t(mode)) != 0 {
                    throw WorkerError(
                        .cannotStart, "The permissions of \(path) cannot be set: \(String(cString: strerror(errno))).")
                }
                return .own(channel)
            case .descriptor(let number):
                let listener = try SharedListener(number, loop: group.next()) { visitor in
                    connections.expect()
                    ClientBootstrap(group: group)
                        .channelOption(.autoRead, value: false)
                        .channelInitializer(initialize)
                        .withConnectedSocket(visitor)
                        .whenComplete { result in
                            switch result {
                            // The channel says so before its handlers hear that it is active, in the same turn.
                            case .success(let channel): channel.eventLoop.execute { connections.arrived() }
                            case .failure(let error):
                                connections.arrived()
                                logger.debug("Connection failed", metadata: [LogKey.error: "\(error)"])
                            }
                        }
                }
                try listener.start()
                return .shared(listener)
            }
        } catch let error as WorkerError {
            throw error
        } catch {
            throw WorkerError(.cannotStart, "Cannot listen on \(listen): \(error). Is another server there already?")
        }
    }

    /// `nil` when it does not tell.
    var address: SocketAddress? {
        switch self {
        case .own(let channel): channel.localAddress
        case .shared(let listener): listener.address
        }
    }

    /// Takes no more connections.
    func close() async {
        switch self {
        case .own(let channel): try? await channel.close()  // fails only when it is closed already
        case .shared(let listener): await listener.stop()
        }
    }
}

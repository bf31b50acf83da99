import Glibc
import NIOCore
import NIOPosix

/// Opens the socket a worker listens on.
enum Listener {
    /// - Throws: `cannotStart`, which names the address and says what to do.
    static func open(
        _ listen: WorkersConfiguration.Listen, mode: UInt16?, _ bootstrap: ServerBootstrap
    ) async throws -> any Channel {
        do {
            switch listen {
            case .tcp(let host, let port):
                return try await bootstrap.bind(host: host, port: port).get()
            case .unix(let path):
                let channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true)
                    .get()
                if let mode, chmod(path, mode_t(mode)) != 0 {
                    throw WorkerError(
                        .cannotStart, "The permissions of \(path) cannot be set: \(String(cString: strerror(errno))).")
                }
                return channel
            case .descriptor(let number):
                return try await bootstrap.withBoundSocket(Listener.duplicate(number)).get()
            }
        } catch let error as WorkerError {
            throw error
        } catch {
            throw WorkerError(.cannotStart, "Cannot listen on \(listen): \(error). Is another server there already?")
        }
    }

    /// A copy, so that closing it does not free a low number (0 under supervisord) for the next file opened.
    private static func duplicate(_ number: CInt) throws(WorkerError) -> CInt {
        var isListening: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &size) == 0, isListening != 0 else {
            throw WorkerError(
                .cannotStart,
                "File descriptor \(number) is no listening socket. Under supervisord the program must be an "
                    + "[fcgi-program:x] with socket=…; under systemd a .socket unit is needed.")
        }
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            throw WorkerError(
                .cannotStart, "File descriptor \(number) cannot be used: \(String(cString: strerror(errno))).")
        }
        return copy
    }
}

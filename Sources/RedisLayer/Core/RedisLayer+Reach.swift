import Logging
import NIOCore
import NIOPosix

extension RedisLayer {
    /// Tries whether every host lets us in and answers.
    ///
    /// - Returns: what is wrong, one sentence for each host that does not, with the setting it stands in; none when all is
    ///   well.
    package static func problems(reaching hosts: [RedisEndpoint]) async -> [String] {
        var options = RedisClientOptions()
        options.patience = .seconds(3)
        options.connectLimit = .seconds(3)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        var problems: [String] = []
        for host in hosts {
            let client = RedisClient(
                host, options: options, eventLoop: loop,
                logger: Logger(label: "check") { _ in SwiftLogNoOpLogHandler() })
            do throws(RedisError) {
                _ = try await client.send(RedisCommand("PING"))
            } catch {
                problems.append(error.message)
            }
            await client.close()
        }
        return problems
    }
}

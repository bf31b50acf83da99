import NIOPosix

extension RabbitMQLayer {
    /// Tries whether every node lets us in to its virtual host.
    ///
    /// - Returns: what is wrong, one sentence for each node that does not, with the setting it stands in; none when all is
    ///   well.
    package static func problems(reaching configuration: RabbitMQConfiguration) async -> [String] {
        var configuration = configuration
        configuration.connectTimeout = min(configuration.connectTimeout, .seconds(3))
        var problems: [String] = []
        for address in configuration.addresses {
            let problem = try? await NIOThreadPool.singleton.runIfActive { [configuration] in
                Self.problem(at: address, configuration)
            }
            if let problem = problem ?? nil { problems.append(problem) }
        }
        return problems
    }

    /// Blocks for as long as the connection takes.
    private static func problem(at address: RabbitMQAddress, _ configuration: RabbitMQConfiguration) -> String? {
        do throws(BrokerError) {
            let connection = try AMQPConnection(to: address, configuration, name: "carillon check")
            connection.close()
            return nil
        } catch {
            return error.description
        }
    }
}

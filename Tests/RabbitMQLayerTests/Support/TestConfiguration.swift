import Logging
import RabbitMQLayer
import Synchronization
import TestSupport

/// Layers under test say what they have to say through `DropRecorder` and errors.
let quietLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

private let lastName = Atomic<Int>(0)

/// A name that nobody else in this run uses.
func unique(_ what: String) -> String { "\(what)-\(lastName.wrappingAdd(1, ordering: .relaxed).newValue)" }

/// A configuration with exchanges of its own, so that tests can share a broker.
func testConfiguration(
    _ broker: RabbitMQProcess, _ change: (inout RabbitMQConfiguration) -> Void = { _ in }
) throws -> RabbitMQConfiguration {
    var configuration = RabbitMQConfiguration(addresses: [try RabbitMQAddress(broker.url())])
    configuration.groupsExchange = unique("groups")
    configuration.publishExchange = unique("publish")
    configuration.historyLog = unique("history")
    change(&configuration)
    return configuration
}

import ChannelLayer
import RabbitMQLayer
import TestSupport
import Testing

/// Capacity is not claimed: here it belongs to the process's queue, not to each channel (see `CapacityTests`).
private let rabbitMQ = ContractLayer("RabbitMQ", [.normalChannels, .expiry, .groupExpiry, .processes]) { limits in
    let broker = try await RabbitMQProcess.shared()
    let drops = DropRecorder()
    let configuration = try testConfiguration(broker) {
        $0.limits = limits
        $0.expiry = limits.expiry
    }
    return ContractBroker(
        drops: drops,
        connect: { RabbitMQLayer(configuration: configuration, observer: drops, logger: quietLogger) },
        advance: { try await Task.sleep(for: $0) })
}

@Suite(.timeLimit(.minutes(5))) struct ContractTests {
    @Test(arguments: rabbitMQ.claims) func theRabbitMQLayerKeepsTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: rabbitMQ)
    }
}

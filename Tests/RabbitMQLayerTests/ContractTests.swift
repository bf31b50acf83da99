import ChannelLayer
import RabbitMQLayer
import TestSupport
import Testing

/// Capacity is not claimed: here it belongs to the process's queue, not to each channel (see `CapacityTests`).
private let rabbitMQ = ContractLayer(
    "RabbitMQ",
    [
        .normalChannels, .expiry, .groupExpiry, .processes, .history, .historyOrder, .historyExpiry, .presence,
        .presenceExpiry,
    ]
) { limits in
    let broker = try await RabbitMQProcess.shared()
    let drops = DropRecorder()
    let configuration = try testConfiguration(broker) {
        $0.limits = limits
        $0.expiry = limits.expiry
    }
    return ContractBroker(
        drops: drops,
        connect: {
            let layer = RabbitMQLayer(configuration: configuration, observer: drops, logger: quietLogger)
            // As a gateway does: who asks for a history reads the log from then on, and hears what comes later from there.
            _ = try await layer.store?.readHistory(of: GroupName(unchecked: "asked"), .position)
            return layer
        },
        advance: { try await Task.sleep(for: $0) })
}

@Suite(.timeLimit(.minutes(5))) struct ContractTests {
    @Test(arguments: rabbitMQ.claims) func theRabbitMQLayerKeepsTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: rabbitMQ)
    }
}

import ChannelLayer
import TestSupport
import Testing

@testable import RedisLayer

/// It keeps nothing of groups yet.
private let everything = Set(ContractLayer.Ability.allCases)
    .subtracting([.history, .historyExpiry, .presence, .presenceExpiry])

/// One host: sending to a group is one step.
private let oneHost = redisContract("one host", hosts: 1) { _ in }
/// Members are asked for first, and each mailbox has a host of its own. A normal channel has one on every host, with the
/// capacity on each.
private let threeHosts = redisContract("three hosts", everything.subtracting([.normalChannels]), hosts: 3) { _ in }
private let encrypted = redisContract("encrypted") { $0.encryptionKeys = ["new", "old"] }
private let patterns = redisContract("patterns") {
    if $0.limits.channelCapacity.isEmpty { $0.limits.channelCapacity = [(CapacityPattern("never.*"), 1)] }
}

private func redisContract(
    _ name: String, _ abilities: Set<ContractLayer.Ability> = everything, hosts: Int = 1,
    _ change: @escaping @Sendable (inout RedisLayerConfiguration) -> Void
) -> ContractLayer {
    ContractLayer(name, abilities) { limits in
        let (clock, drops) = (MovableClock(), DropRecorder())
        var configuration = SharedRedis.configuration(hosts: hosts)
        configuration.limits = limits
        change(&configuration)
        let (start, wall) = (clock.now, RedisLayer.wallClock())
        return ContractBroker(
            drops: drops,
            connect: { [configuration] in
                RedisLayer(configuration, options: .patient, observer: drops, logger: .silent) {
                    wall + (clock.now - start) / .seconds(1)
                }
            },
            advance: { clock.advance(by: $0) })
    }
}

@Suite(.redis(3), .timeLimit(.minutes(2))) struct RedisLayerContractTests {
    @Test(arguments: oneHost.claims) func oneHostKeepsTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: oneHost)
    }

    @Test(arguments: threeHosts.claims) func threeHostsKeepTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: threeHosts)
    }

    @Test(arguments: encrypted.claims) func encryptedMessagesKeepTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: encrypted)
    }

    @Test(arguments: patterns.claims) func capacitiesByPatternKeepTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: patterns)
    }
}

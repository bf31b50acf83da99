import ChannelLayer
import TestSupport
import Testing

@testable import RedisLayer

/// What Redis itself lets go must be waited for, so it is for one kind only.
private let everything = Set(ContractLayer.Ability.allCases).subtracting([.historyExpiry, .presenceExpiry])
/// Where sending a publication is a step of its own, it may be overtaken.
private let inTwoSteps = everything.subtracting([.historyOrder, .historyInOneStep])

/// One host: sending to a group is one step.
private let oneHost = redisContract("one host", Set(ContractLayer.Ability.allCases), hosts: 1) { _ in }
/// Members are asked for first, and each mailbox has a host of its own. A normal channel has one on every host, with the
/// capacity on each.
private let threeHosts = redisContract("three hosts", inTwoSteps.subtracting([.normalChannels]), hosts: 3) { _ in }
private let encrypted = redisContract("encrypted", inTwoSteps) { $0.encryptionKeys = ["new", "old"] }
private let patterns = redisContract("patterns", inTwoSteps) {
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
            advance: { duration in
                clock.advance(by: duration)
                // What Redis lets go by itself goes by its own clock.
                if abilities.contains(.historyExpiry) { try await Task.sleep(for: duration) }
            })
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

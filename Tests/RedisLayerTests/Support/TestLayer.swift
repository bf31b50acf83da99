import ChannelLayer
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

/// Runs `body` with a layer of its own at `hosts`, and what it drops.
func withLayer(
    _ hosts: [RedisEndpoint], _ change: (inout RedisLayerConfiguration) -> Void = { _ in },
    options: RedisClientOptions = .init(), _ body: (RedisLayer, DropRecorder) async throws -> Void
) async throws {
    var configuration = RedisLayerConfiguration()
    configuration.hosts = hosts
    change(&configuration)
    let drops = DropRecorder()
    let layer = RedisLayer(configuration, options: options, observer: drops, logger: .silent)
    do {
        try await body(layer, drops)
    } catch {
        await layer.close()
        throw error
    }
    await layer.close()
}

extension ChannelLayer {
    /// Follows `group`, and returns when every message sent from then on is heard.
    func join(_ group: GroupName, _ feed: any GroupFeed) async throws {
        let error = await withCheckedContinuation { continuation in
            feed.follow(group) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    /// The code a send ends with.
    func failure(of message: LayerMessage, to group: GroupName) async -> LayerError.Code? {
        do {
            try await self.send(message, toGroup: group)
            return nil
        } catch {
            return error.code
        }
    }
}

/// A message with a number.
func test(_ number: Int) -> LayerMessage { ["type": .string("test"), "number": .int(Int64(number))] }

extension LayerMessage {
    var testNumber: Int? { if case .int(let number)? = self["number"] { Int(number) } else { nil } }
}

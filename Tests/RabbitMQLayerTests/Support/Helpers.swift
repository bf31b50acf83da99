import ChannelLayer
import RabbitMQLayer
import TestSupport
import Testing

func numbered(_ number: Int) -> LayerMessage { ["type": .string("test"), "number": .int(Int64(number))] }

extension LayerMessage {
    var number: Int? { if case .int(let value)? = self["number"] { Int(value) } else { nil } }
}

extension ChannelLayer {
    /// Follows `group`, and returns when every message sent from then on is heard.
    func follow(_ group: GroupName, by feed: any GroupFeed) async throws {
        let error = await withCheckedContinuation { continuation in
            feed.follow(group) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    /// The error that sending one message to `group` ends with.
    func sendError(_ message: LayerMessage, toGroup group: GroupName) async -> LayerError? {
        do throws(LayerError) {
            try await self.send(message, toGroup: group)
            return nil
        } catch {
            return error
        }
    }

    /// Sends to a normal channel of few messages. On a machine with much to do a quorum queue refuses what it did not
    /// store in time, and that is sent again.
    func sendPatiently(_ message: LayerMessage, to channel: ChannelName) async throws {
        while true {
            do throws(LayerError) {
                return try await self.send(message, to: channel)
            } catch  where error.code == .channelFull {}
        }
    }

    /// Sends until the layer takes it: how a person sees that it works again.
    func sendUntilTaken(_ message: LayerMessage, toGroup group: GroupName) async {
        while !Task.isCancelled, await self.sendError(message, toGroup: group) != nil {}
    }
}

/// Waits until `isTrue`; a test's time limit ends what never becomes true.
func until(_ isTrue: () async throws -> Bool) async throws {
    while try await !isTrue() { try await Task.sleep(for: .milliseconds(20)) }
}

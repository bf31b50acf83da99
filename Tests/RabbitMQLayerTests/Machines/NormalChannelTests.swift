import Testing

@testable import RabbitMQLayer

@Suite struct NormalChannelTests {
    @Test func nothingIsReadWhileNobodyWaits() {
        var channel = NormalChannel<String>()
        #expect(channel.update(demand: 0) == [])
        #expect(channel.update(demand: 1) == [.consume])
        #expect(channel.update(demand: 2) == [])
        #expect(channel.update(demand: 0) == [.cancel])
        #expect(channel.update(demand: 1) == [], "the broker has not ended the consumer yet")
        #expect(channel.cancelled(demand: 1) == [.consume])
    }

    @Test func theLastReaderEndsTheConsumerBeforeThereIsRoomForAnotherMessage() {
        var channel = NormalChannel<String>()
        _ = channel.update(demand: 2)
        #expect(channel.arrived("a", 1, demand: 2) == [.acknowledge(1), .barrier])
        #expect(channel.arrived("b", 2, demand: 1) == [.cancel, .acknowledge(2), .barrier])
        #expect(channel.claimCount == 2)
        #expect(channel.claimed() == "a")
        #expect(channel.claimed() == "b")
        #expect(channel.cancelled(demand: 0) == [])
    }

    @Test func aMessageThatMeetsALeavingReaderGoesBack() {
        var channel = NormalChannel<String>()
        _ = channel.update(demand: 1)
        _ = channel.update(demand: 0)
        #expect(channel.arrived("a", 1, demand: 0) == [.requeue(1)])
        #expect(channel.claimed() == nil)
    }
}

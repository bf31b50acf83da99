import Testing

@testable import ChannelLayer

@Suite struct BackoffTests {
    @Test func waitsAreBoundedAndSpread() {
        let backoff = Backoff(first: .milliseconds(50), most: .milliseconds(500))
        #expect(backoff.delay(after: 1, random: 1) == .milliseconds(50))
        #expect(backoff.delay(after: 2, random: 0.5) == .milliseconds(50))
        #expect(backoff.delay(after: 4, random: 1) == .milliseconds(400))
        for failures in [5, 60, .max] { #expect(backoff.delay(after: failures, random: 1) == .milliseconds(500)) }
        #expect(backoff.delay(after: 3, random: 0) == .zero)
    }
}

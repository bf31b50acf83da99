import ChannelLayer
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

/// One of the two layers; every fault happens to both.
enum RedisLayerKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case core
    case pubSub

    var testDescription: String { self.rawValue }

    func layer(
        _ hosts: [RedisEndpoint], options: RedisClientOptions = .init(), observer: (any LayerObserver)? = nil
    ) -> any ChannelLayer {
        switch self {
        case .core:
            var configuration = RedisLayerConfiguration()
            configuration.hosts = hosts
            return RedisLayer(configuration, options: options, observer: observer, logger: .silent)
        case .pubSub:
            var configuration = RedisPubSubConfiguration()
            configuration.hosts = hosts
            return RedisPubSubLayer(
                configuration, options: options, loops: testLoops, observer: observer, logger: .silent)
        }
    }
}

/// A process that sends numbered messages to a group, one that follows it, and what became of the messages.
struct FaultSite: Sendable {
    let kind: RedisLayerKind
    let sender: any ChannelLayer
    let gateway: any ChannelLayer
    let drops = DropRecorder()
    let heard = NumberRecorder()
    let feed: any GroupFeed
    let group: GroupName

    init(_ kind: RedisLayerKind, _ hosts: [RedisEndpoint], options: RedisClientOptions = .init()) async throws {
        self.kind = kind
        self.group = GroupName(unchecked: "group-\(kind)")
        self.sender = kind.layer(hosts, options: options, observer: self.drops)
        self.gateway = kind.layer(hosts, options: options)
        self.feed = self.gateway.openFeed(self.heard)
        try await self.gateway.join(self.group, self.feed)
    }

    func submit(_ numbers: Range<Int>) {
        for number in numbers { self.sender.submit(test(number), toGroup: self.group, completion: nil) }
    }

    /// Messages that were counted as not carried, for whatever reason.
    var dropped: Int { LayerDrop.allCases.reduce(0) { $0 + (self.drops.dropped($1)[self.group.text] ?? 0) } }

    func dropped(_ count: Int) async throws { while self.dropped < count { try await turn() } }

    /// Sends until one of these messages comes through, `first` and those with greater numbers.
    func untilHeard(from first: Int) async throws {
        var number = first
        while self.heard.greatest < first {
            _ = await self.sender.failure(of: test(number), to: self.group)
            number += 1
            try await turn()
        }
    }

    func close() async {
        self.feed.close()
        await self.sender.close()
        await self.gateway.close()
    }
}

/// Runs `body` with a site of each kind.
func withSites(
    _ hosts: [RedisEndpoint], of kinds: [RedisLayerKind] = RedisLayerKind.allCases,
    options: RedisClientOptions = .init(),
    _ body: ([FaultSite]) async throws -> Void
) async throws {
    var sites: [FaultSite] = []
    for kind in kinds { sites.append(try await FaultSite(kind, hosts, options: options)) }
    do {
        try await body(sites)
    } catch {
        for site in sites { await site.close() }
        throw error
    }
    for site in sites { await site.close() }
}

/// A turn of the tests' event loops, so that waiting does not take the time of what is waited for.
func turn() async throws {
    try Task.checkCancellation()
    try await testLoops.next().scheduleTask(in: .milliseconds(2)) {}.futureResult.get()
}

/// Measures how long service takes to resume, and does not take a busy machine for a slow layer: what took too long is
/// tried again, twice.
///
/// - Parameter round: makes the fault, and gives the time from its end until messages came through.
func expectResumption(
    within limit: Duration = .seconds(2), _ round: (_ number: Int) async throws -> Duration
) async throws {
    var times: [Duration] = []
    repeat {
        times.append(try await round(times.count + 1))
    } while times.allSatisfy { $0 >= limit } && times.count < 3
    #expect(times.contains { $0 < limit }, "resumed after \(times)")
}

/// Hears a feed and keeps the numbers of its messages; also of very many.
final class NumberRecorder: GroupFeedListener {
    private struct State {
        var numbers: [Int] = []
        var greatest = -1
        var interruptions = 0
        var restorations = 0
    }

    private let state = Mutex(State())

    func arrived(_ message: LayerMessage, in group: GroupName) {
        guard let number = message.testNumber else { return }
        self.state.withLock { state in
            state.numbers.append(number)
            state.greatest = max(state.greatest, number)
        }
    }

    func feedInterrupted(_ reason: LayerError) { self.state.withLock { $0.interruptions += 1 } }

    func feedRestored() { self.state.withLock { $0.restorations += 1 } }

    var numbers: [Int] { self.state.withLock { $0.numbers } }
    var count: Int { self.state.withLock { $0.numbers.count } }
    var greatest: Int { self.state.withLock { $0.greatest } }
    var interruptions: Int { self.state.withLock { $0.interruptions } }
    var restorations: Int { self.state.withLock { $0.restorations } }

    func arrivals(_ count: Int) async throws { while self.count < count { try await turn() } }

    func interrupted(_ count: Int) async throws { while self.interruptions < count { try await turn() } }

    func restored(_ count: Int) async throws { while self.restorations < count { try await turn() } }

    /// In the order they were sent, and none twice.
    func expectOrder() {
        let numbers = self.numbers
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
    }
}

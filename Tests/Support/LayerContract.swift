public import ChannelLayer
public import Testing

/// A kind of layer that is held to the contract: how to get a broker of one's own, and what the kind can do at all.
public struct ContractLayer: Sendable, CustomTestStringConvertible {
    /// What not every layer can do. A claim names what it needs; where that is missing it is not asked.
    public enum Ability: Sendable, CaseIterable {
        /// Channels without `!`.
        case normalChannels
        /// `channelFull` at the configured capacity.
        case capacity
        /// Unread messages go after `expiry`, and `ContractBroker.advance` can be called to see it.
        case expiry
        /// Memberships of channels go after `groupExpiry`, and `ContractBroker.advance` can be called to see it.
        case groupExpiry
        case flush
        /// Two layer objects at one broker, as two processes have them.
        case processes
        /// `ChannelLayer.store` keeps histories.
        case history
        /// Publications of several senders are heard in the order they are kept in.
        case historyOrder
        /// They are so with one sender's plain messages among them.
        case historyInOneStep
        /// `flush` forgets histories too.
        case historyFlush
        /// Histories, positions and keys go after their time, and `ContractBroker.advance` can be called to see it.
        case historyExpiry
        /// `ChannelLayer.store` knows who is present.
        case presence
        /// The presence of a process that ended goes after its time.
        case presenceExpiry
    }

    public let testDescription: String
    public let abilities: Set<Ability>
    /// A broker that nobody else uses, with this configuration.
    public let open: @Sendable (LayerConfiguration) async throws -> ContractBroker

    public init(
        _ name: String, _ abilities: Set<Ability>,
        open: @escaping @Sendable (LayerConfiguration) async throws -> ContractBroker
    ) {
        self.testDescription = name
        self.abilities = abilities
        self.open = open
    }

    /// The claims this kind of layer is asked to keep.
    public var claims: [LayerClaim] { LayerClaim.all.filter { $0.needs.isSubset(of: self.abilities) } }
}

/// Where layers meet, for the time of one claim.
public struct ContractBroker: Sendable {
    /// The layer of one more process.
    public let connect: @Sendable () async throws -> any ChannelLayer
    /// What all layers of this broker dropped.
    public let drops: DropRecorder
    /// Lets time pass.
    public let advance: @Sendable (Duration) async throws -> Void
    /// Called at the end, after all layers were closed.
    public let close: @Sendable () async throws -> Void

    public init(
        drops: DropRecorder, connect: @escaping @Sendable () async throws -> any ChannelLayer,
        advance: @escaping @Sendable (Duration) async throws -> Void = { _ in },
        close: @escaping @Sendable () async throws -> Void = {}
    ) {
        self.connect = connect
        self.drops = drops
        self.advance = advance
        self.close = close
    }
}

/// One promise of `ChannelLayer`, as a test.
///
///     @Test(.timeLimit(.minutes(1)), arguments: memory.claims)
///     func theMemoryLayerKeeps(_ claim: LayerClaim) async throws { try await claim.hold(for: memory) }
public struct LayerClaim: Sendable, CustomTestStringConvertible {
    public let testDescription: String
    let needs: Set<ContractLayer.Ability>
    private let configure: @Sendable (inout LayerConfiguration) -> Void
    private let check: @Sendable (any ChannelLayer, ContractBroker) async throws -> Void

    init(
        _ claim: String, needs: Set<ContractLayer.Ability> = [],
        configure: @escaping @Sendable (inout LayerConfiguration) -> Void = { _ in },
        check: @escaping @Sendable (any ChannelLayer, ContractBroker) async throws -> Void
    ) {
        self.testDescription = claim
        self.needs = needs
        self.configure = configure
        self.check = check
    }

    /// Every claim. A new layer runs them all, unchanged.
    public static let all =
        Self.channels + Self.limits + Self.groups + Self.feeds + Self.processes + Self.history + Self.publishing
        + Self.presence

    /// Checks the claim against a broker of its own.
    public func hold(for layer: ContractLayer) async throws {
        var configuration = LayerConfiguration()
        self.configure(&configuration)
        let broker = try await layer.open(configuration)
        let first = try await broker.connect()
        do {
            try await self.check(first, broker)
        } catch {
            Issue.record(error, "\(self.testDescription)")
        }
        await first.close()
        try await broker.close()
    }
}

// MARK: - What the claims are written with

/// A message with a number, to tell messages apart.
func numbered(_ number: Int, from sender: Int = 0) -> LayerMessage {
    ["type": "contract.test", "sender": .int(Int64(sender)), "number": .int(Int64(number))]
}

extension LayerMessage {
    var number: Int? { if case .int(let value)? = self["number"] { Int(value) } else { nil } }
    var sender: Int? { if case .int(let value)? = self["sender"] { Int(value) } else { nil } }
}

extension LayerValue: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
}

extension ChannelLayer {
    /// Follows `group`, and returns when every message sent from then on is heard.
    func follow(_ group: GroupName, by feed: any GroupFeed) async throws {
        let error = await withCheckedContinuation { continuation in
            feed.follow(group) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    /// The next `count` messages' numbers.
    func receiveNumbers(_ count: Int, from channel: ChannelName) async throws -> [Int?] {
        var numbers: [Int?] = []
        for _ in 0..<count { numbers.append(try await self.receive(from: channel).number) }
        return numbers
    }
}

/// The error that `work` ends with.
func layerError(_ work: () async throws(LayerError) -> Void) async -> LayerError? {
    do throws(LayerError) {
        try await work()
        return nil
    } catch {
        return error
    }
}

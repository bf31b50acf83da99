import ChannelLayer

/// Sees that this gateway hands on every publication of one group's stream once and in order, for all its followers
/// together. A value without I/O: what arrives in, what to do out.
///
/// ```
///              first arrival                     a gap                    the missing ones are there
///   unknown ─────────────────▶ at(position) ───────────▶ repairing ───────────────────────▶ at(position)
///                                   ▲ │ next: hand on; older: a double      │ they cannot be had: lost
///                                   └─┘                                     └──────────────────▶ at(position)
/// ```
struct StreamContinuity {
    /// A publication and its offset.
    struct Numbered: Sendable {
        let offset: UInt64
        let message: LayerMessage
    }

    enum Action {
        /// Hand these on, in this order.
        case handOn([Numbered])
        /// Read what is after the position from the store; then `repaired`.
        case read(since: StreamPosition)
        /// Followers whose position is watched have a gap for good, and are to be told; before what is handed on next.
        case tellLost
    }

    private enum State {
        /// Nothing has arrived; everything after `floor` will, if that is known.
        case unknown(floor: StreamPosition?)
        case at(StreamPosition)
        case repairing(StreamPosition, waiting: [Numbered], epoch: String?)
    }

    private var state = State.unknown(floor: nil)
    /// Handed on from the store; each may still arrive by itself, once.
    private var repaired: ClosedRange<UInt64>?

    /// Publications that may wait for a repair.
    static let waitingLimit = 10_000

    init() {}

    /// Goes on where another gateway's stood: what it has handed on may arrive here, too.
    init(from position: StreamPosition) {
        self.state = .at(position)
        self.repaired = Self.range(0, position.offset)
    }

    /// From where on everything is handed to followers that are there now; `nil` when it is not known.
    var position: StreamPosition? {
        switch self.state {
        case .unknown(let floor): floor
        case .at(let position): position
        case .repairing: nil
        }
    }

    /// A publication arrives from the layer.
    mutating func arrived(_ message: LayerMessage, at place: StreamPosition) -> [Action] {
        let arrival = Numbered(offset: place.offset, message: message)
        switch self.state {
        case .unknown(let floor):
            if let floor, floor.epoch != place.epoch { return self.startAnew(arrival, place) }
            // What the floor has was on its way when it was read.
            if let floor, place.offset > floor.offset &+ 1 { return self.repair(floor, arrival, place.epoch) }
            self.state = .at(place)
            return [.handOn([arrival])]
        case .at(let last):
            guard last.epoch == place.epoch else { return self.startAnew(arrival, place) }
            if place.offset == last.offset &+ 1 {
                self.state = .at(place)
                // Arrivals are in order: no double can follow.
                self.repaired = nil
                return [.handOn([arrival])]
            }
            if place.offset > last.offset { return self.repair(last, arrival, place.epoch) }
            return self.isDouble(place.offset) ? [] : self.startAnew(arrival, place)
        case .repairing(let last, var waiting, let epoch):
            guard waiting.count < Self.waitingLimit, (epoch ?? place.epoch) == place.epoch else {
                // Too long, or begun anew meanwhile: what waits is handed on with its gaps.
                self.state = .at(place)
                self.repaired = nil
                return [.tellLost, .handOn(waiting + [arrival])]
            }
            if !self.isDouble(place.offset) { waiting.append(arrival) }
            self.state = .repairing(last, waiting: waiting, epoch: place.epoch)
            return []
        }
    }

    /// What `read` asked for.
    mutating func repaired(_ result: Result<HistoryPage, LayerError>) -> [Action] {
        guard case .repairing(let last, let waiting, let epoch) = self.state else { return [] }
        let sorted = waiting.sorted { $0.offset < $1.offset }
        let newest = sorted.last?.offset ?? last.offset
        guard case .success(let page) = result, epoch ?? page.top.epoch == page.top.epoch else {
            self.state = .at(StreamPosition(offset: newest, epoch: epoch ?? last.epoch))
            return [.tellLost, .handOn(sorted)]
        }
        let isWhole =
            page.top.epoch == last.epoch && Recovery(since: last, page).isComplete && page.top.offset >= last.offset
        guard isWhole else {
            self.state = .at(StreamPosition(offset: max(newest, page.top.offset), epoch: page.top.epoch))
            // Those up to the top that did not arrive are not coming as doubles: there was a gap already.
            self.repaired = Self.range(sorted.last?.offset ?? page.top.offset, page.top.offset)
            return [.tellLost, .handOn(sorted)]
        }
        let found = page.publications.map { Numbered(offset: $0.offset, message: $0.message) }
        let arrivedLater = sorted.drop { $0.offset <= page.top.offset }
        // What waits was handed on by itself; the others of the range may still come.
        self.repaired = Self.range(last.offset, page.top.offset)
        self.state = .at(page.top)
        var actions: [Action] = found.isEmpty ? [] : [.handOn(found)]
        for each in arrivedLater {
            actions += self.arrived(each.message, at: StreamPosition(offset: each.offset, epoch: page.top.epoch))
        }
        return actions
    }

    /// What the store said the newest position was.
    ///
    /// - Parameter asked: `position` when it was asked; what has arrived since then may be newer than the answer.
    mutating func observed(_ top: StreamPosition, asked: StreamPosition?) -> [Action] {
        switch self.state {
        case .repairing: return []
        case .unknown(nil):
            self.state = .unknown(floor: top)
            return []
        case .unknown(let known?), .at(let known):
            // An old answer about another life of the stream.
            guard let asked, asked.epoch == known.epoch else { return [] }
            guard known.epoch == top.epoch, asked.offset <= top.offset else {
                // The stream has lost its memory, or a part of it.
                self.state = .unknown(floor: top)
                self.repaired = nil
                return [.tellLost]
            }
            guard known.offset < top.offset else { return [] }
            self.state = .repairing(known, waiting: [], epoch: nil)
            return [.read(since: known)]
        }
    }

    private mutating func repair(_ last: StreamPosition, _ arrival: Numbered, _ epoch: String) -> [Action] {
        self.state = .repairing(last, waiting: [arrival], epoch: epoch)
        return [.read(since: last)]
    }

    /// The stream is another one, or went back: nobody's position is one of it.
    private mutating func startAnew(_ arrival: Numbered, _ place: StreamPosition) -> [Action] {
        self.state = .at(place)
        self.repaired = nil
        return [.tellLost, .handOn([arrival])]
    }

    /// Whether a publication that is not new was handed on out of the store before it came.
    private func isDouble(_ offset: UInt64) -> Bool { self.repaired?.contains(offset) ?? false }

    private static func range(_ last: UInt64, _ top: UInt64) -> ClosedRange<UInt64>? {
        last < top ? (last &+ 1)...top : nil
    }
}

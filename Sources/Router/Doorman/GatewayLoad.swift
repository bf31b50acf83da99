import NIOCore

/// What a router knows of how busy one gateway is: what it told last, and what it was handed since.
struct GatewayLoad {
    private var told = 0
    private var handed = 0
    private var lastHanded = NIODeadline.uptimeNanoseconds(0)
    /// When a number was taken from it last, and when it said anything.
    private var lastTaken = NIODeadline.uptimeNanoseconds(0)
    private var lastHeard: NIODeadline
    /// What was handed over so recently may not be in a report yet.
    static let settling = TimeAmount.milliseconds(250)
    /// How long reports may be left out because of that.
    static let oldest = TimeAmount.seconds(3)
    /// A gateway reports each second, so one that is silent for so long stands still, or waits for a processor.
    static let silence = TimeAmount.seconds(3)

    /// - Parameter now: when the line to it was opened.
    init(openedAt now: NIODeadline) { self.lastHeard = now }

    var connections: Int { self.told &+ self.handed }

    func isQuiet(at now: NIODeadline) -> Bool { now - self.lastHeard > Self.silence }

    mutating func wasHandedOne(at now: NIODeadline) {
        self.handed &+= 1
        self.lastHanded = now
    }

    /// It says that it has so many.
    mutating func reports(_ connections: Int, at now: NIODeadline) {
        self.lastHeard = now
        guard now - self.lastHanded > Self.settling || now - self.lastTaken > Self.oldest else { return }
        self.lastTaken = now
        (self.told, self.handed) = (connections, 0)
    }
}

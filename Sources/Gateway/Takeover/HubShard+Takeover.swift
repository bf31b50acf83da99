import ChannelLayer
import Glibc
import NIOCore

/// Who moves to another gateway.
enum LeavingConnection {
    case session(Session)
    /// Its request has not all come.
    case newcomer(ConnectionHandler)
}

/// A connection on its way to another gateway.
struct MovingConnection: Sendable {
    /// Its place in `HubShard.leaving`.
    let place: Int
    let message: TakeoverMessage
    /// A copy that the receiver closes; the connection's own may go, and its number be another's, at any time.
    let descriptor: CInt
}

extension HubShard {
    /// From now on no time passes, and nothing more is read from browsers.
    func pause() {
        self.isPaused = true
        self.setReading(false)
    }

    func resume() {
        self.isPaused = false
        self.leaving = []
        self.setReading(true)
        if self.owesGap { self.tellGap() }
        self.owesGap = false
    }

    /// Makes sure that the process hears all that a connection follows which comes from another gateway.
    ///
    /// - Parameter completion: called once on this loop, perhaps at once; with an error nothing is held.
    func acquire(_ groups: [GroupName], channels: [GroupName], completion: @escaping (LayerError?) -> Void) {
        self.acquire(groups) { error in
            guard error == nil, !channels.isEmpty else { return completion(error) }
            var held: [GroupName] = []
            let all = Countdown(channels.count) { error in
                if error != nil {
                    self.release(groups)
                    for channel in held { self.release(channel: channel) }
                }
                completion(error)
            }
            for channel in channels {
                self.acquire(channel: channel) { error in
                    if error == nil { held.append(channel) }
                    all.done(error)
                }
            }
        }
    }

    private func setReading(_ reads: Bool) {
        for session in self.sessions { session.setReading(reads) }
        for connection in self.handshakes.entries { connection.setReading(reads) }
    }

    /// Whether a handshake is between its request and its answer.
    var isAdmitting: Bool { self.handshakes.entries.contains { $0.isAdmitting } }

    /// Whether there is nobody who might be able to move a moment later.
    var isReadyToMove: Bool { self.sessions.allSatisfy { $0.canMove || $0.mustStay } }

    /// Decides who moves.
    func beginMoving() -> Int {
        self.leaving = self.sessions.map { .session($0) } + self.handshakes.entries.map { .newcomer($0) }
        return self.leaving.count
    }

    /// The next of those who move. Those that cannot are left out.
    func moving(_ places: Range<Int>) -> [MovingConnection] {
        var moving: [MovingConnection] = []
        for place in places where self.leaving.indices.contains(place) {
            let message: TakeoverMessage
            let descriptor: CInt
            switch self.leaving[place] {
            case .session(let session):
                guard let found = session.moving else { continue }
                (message, descriptor) = (.session(found.snapshot), found.descriptor)
            case .newcomer(let connection):
                guard let found = connection.head else { continue }
                (message, descriptor) = (.newcomer(found.bytes), found.descriptor)
            }
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
            if copy >= 0 { moving.append(MovingConnection(place: place, message: message, descriptor: copy)) }
        }
        return moving
    }

    /// They have moved.
    func passOn(_ places: [Int]) {
        for place in places where self.leaving.indices.contains(place) {
            switch self.leaving[place] {
            case .session(let session): session.passOn()
            case .newcomer(let connection): connection.passOn()
            }
        }
        self.leaving = []
    }
}

import ChannelLayer
import NIOCore

/// One message on its way to the broker, as its bytes.
struct Submission: Sendable {
    enum Target: Sendable {
        /// Everybody who follows a group.
        case group
        /// The queue of a process.
        case process
        /// The queue of a normal channel, which must be there before.
        case normalChannel
        /// The log of publications.
        case log
    }

    var target: Target
    /// The group's name, or the queue's.
    var key: String
    /// The channel or group, for people.
    var name: String
    var body: ByteBuffer
    /// Until when it may wait for the broker.
    var deadline: ContinuousClock.Instant
    /// Whom to tell; `nil` when a failure is only counted.
    var completion: (@Sendable (LayerError?) -> Void)?
    /// The sender was told that it took too long.
    var isGivenUp = false
}

/// What became of a submission, to be told outside of any lock.
struct Outcome: Sendable {
    enum Result: Sendable {
        case taken
        /// A queue that it was for is full.
        case full
        case failed(LayerError)
    }

    var submission: Submission
    var result: Result

    /// Tells the sender, or who counts.
    func tell(_ observer: (any LayerObserver)?) {
        let submission = self.submission
        switch self.result {
        case .taken: submission.completion?(nil)
        case .full:
            if case .group = submission.target {
                observer?.dropped(.overCapacity, name: submission.name, count: 1)
                submission.completion?(nil)
            } else if let completion = submission.completion {
                // A quorum queue says no as well when it has no leader, or is too slow to answer.
                completion(
                    LayerError(
                        .channelFull,
                        "the queue of \(submission.name) takes no message now: it holds as many as it may, because it is "
                            + "not read fast enough, or RabbitMQ is too slow to store more"))
            } else if !submission.isGivenUp {
                observer?.dropped(.overCapacity, name: submission.name, count: 1)
            }
        case .failed(let error):
            if let completion = submission.completion {
                completion(error)
            } else if !submission.isGivenUp {
                observer?.dropped(.unavailable, name: submission.name, count: 1)
            }
        }
    }
}

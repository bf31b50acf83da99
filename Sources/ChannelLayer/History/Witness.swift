/// One of several processes that hear the same messages and each publish what they hear, so that it is kept whoever of them
/// lives, and once.
///
/// The idempotency key says then what was heard (a hash of it). The first publication of a witness with a key is the first
/// one of any other witness, its second one their second, and so on: the first to say it has it kept, the others are
/// suppressed. What is older than `idempotencyTimeToLive` is forgotten, and what a witness says then is something new; so that
/// is how much later than the others a witness may be. One that came later, or has missed something, takes what it hears for
/// the oldest that is not forgotten and which it has not said: that is wrong only for messages with equal contents within that
/// time, and shows only if all the others are gone.
public struct Witness: Sendable, Hashable {
    /// Random, of one process's life.
    public var name: String
    /// Of what it says, rising. Something with a number that is not above the last one with the same key was said before, and
    /// not answered.
    public var number: UInt64

    public init(name: String, number: UInt64) {
        self.name = name
        self.number = number
    }
}

package import NIOCore

/// The bookkeeping of a worker pool: which threads there are, what each does and since when, what waits.
///
/// A value without threads, lock or clock. `WorkerPool` puts it behind a lock and obeys it.
///
/// ```
///            admit ──▶ waiting (first in, first out) ──take──▶ running ──done──▶ idle
///              │            │ sweep: waited too long              │ sweep: over its time
///             full       expired                                stuck ──done──▶ thread ends
///                                                                 └▶ a new thread takes its place
/// ```
package struct PoolState<Job: Sendable>: Sendable {
    /// What the pool may use.
    package struct Limits: Sendable {
        /// Threads that answer requests, at least 1.
        package var threads: Int
        /// Requests that may wait for a thread, at least 0.
        package var queue: Int
        /// How long a request may wait for a thread, and how long one may then go without an answer or a chunk.
        package var requestTime: TimeAmount
        /// Stuck threads that are replaced; past it the pool shrinks, because threads that never end would pile up.
        package var stuckThreads: Int

        package init(threads: Int, queue: Int, requestTime: TimeAmount, stuckThreads: Int) {
            self.threads = threads
            self.queue = queue
            self.requestTime = requestTime
            self.stuckThreads = stuckThreads
        }
    }

    /// One thread of the pool; numbers are never used twice.
    package typealias ThreadNumber = Int

    package enum Admission: Equatable, Sendable {
        case accepted
        /// All threads are busy and as many requests wait as may.
        case full
        /// The pool is being stopped.
        case stopping
    }

    /// What a thread does next.
    package enum Next: Sendable {
        case run(Job)
        case wait
        /// The thread ends: the pool is being stopped and nothing waits.
        case end
    }

    /// What a thread finds when it comes for its next job.
    package struct Step: Sendable {
        package var next: Next
        /// Another thread is to be woken: more waits.
        package var wakesAnother: Bool
        package var busy: Int
        package var stuck: Int
        package var isQuick: Bool
    }

    /// What a look at the clock found.
    package struct Sweep: Sendable {
        /// Jobs over their time, with their threads, which no longer belong to the pool's capacity.
        package var stuck: [(thread: ThreadNumber, job: Job)] = []
        /// Threads to be started in their place.
        package var replacements: [ThreadNumber] = []
        /// Jobs that waited too long for a thread; they will not run.
        package var expired: [Job] = []
        /// When to look again.
        package var next: NIODeadline
    }

    private struct Running {
        var job: Job
        /// When it started, or last showed progress.
        var since: NIODeadline
        /// The thread waits for a slow reader, which has a time limit of its own.
        var isParked = false
        var isStuck = false
    }

    private struct Waiting {
        var job: Job
        var since: NIODeadline
    }

    private let limits: Limits
    private var running: [ThreadNumber: Running] = [:]
    private var waiting = CircularBuffer<Waiting>()
    private var idle: Set<ThreadNumber> = []
    private var retired: Set<ThreadNumber> = []
    private var nextThread: ThreadNumber = 1
    private var isStopping = false
    /// Threads that wait to be woken, or have been and have not come yet.
    private var sleeping: Set<ThreadNumber> = []
    /// One of them was woken and has not come yet. It will see to it that the next one is woken.
    private var isWaking = false
    /// Who took the last job, while at work on it, and when.
    private var lastTaker: ThreadNumber?
    private var lastTaken = NIODeadline.uptimeNanoseconds(0)
    /// How long jobs take, in nanoseconds; the last ones count most. Nothing is known of the first ones: they are slow.
    private var usualTime: Int64 = Self.slowTime
    private static var quickTime: Int64 { 50_000 }
    private static var slowTime: Int64 { 1_000_000 }
    /// Threads over their time right now.
    package private(set) var stuckCount = 0

    package init(limits: Limits) { self.limits = limits }

    /// Requests that wait for a thread.
    package var waitingCount: Int { self.waiting.count }
    /// Threads that run a request within its time.
    package var busyCount: Int { self.running.count - self.stuckCount }
    /// Threads that are there, stuck ones included.
    package var threadCount: Int { self.running.count + self.idle.count }

    /// Counts a thread as idle before it is started.
    package mutating func addThread() -> ThreadNumber {
        let number = self.nextThread
        self.nextThread += 1
        self.idle.insert(number)
        return number
    }

    /// Takes back a thread that could not be started.
    package mutating func removeThread(_ thread: ThreadNumber) { self.idle.remove(thread) }

    /// Puts a job at the end of the queue if there is room, counting the threads that are about to take from it.
    package mutating func admit(_ job: Job, now: NIODeadline) -> Admission {
        if self.isStopping { return .stopping }
        guard self.waiting.count < self.limits.queue + self.idle.count else { return .full }
        self.waiting.append(Waiting(job: job, since: now))
        return .accepted
    }

    /// Asked by an idle thread.
    package mutating func take(_ thread: ThreadNumber, now: NIODeadline) -> Next {
        if self.sleeping.remove(thread) != nil { self.isWaking = false }
        guard let first = self.waiting.popFirst() else {
            guard self.isStopping else {
                self.sleeping.insert(thread)
                return .wait
            }
            self.idle.remove(thread)
            return .end
        }
        self.idle.remove(thread)
        self.lastTaker = thread
        self.lastTaken = now
        self.running[thread] = Running(job: first.job, since: now)
        return .run(first.job)
    }

    /// The thread's job showed progress: its time begins anew.
    package mutating func progressed(_ thread: ThreadNumber, now: NIODeadline) {
        self.running[thread]?.since = now
        self.running[thread]?.isParked = false
    }

    /// The thread waits for a slow reader: its time stands still until `progressed`.
    package mutating func parked(_ thread: ThreadNumber) { self.running[thread]?.isParked = true }

    /// The thread's job came to its end, late or not.
    ///
    /// - Returns: whether the thread goes on taking jobs; `false` when another one has its place.
    package mutating func done(_ thread: ThreadNumber, now: NIODeadline) -> Bool {
        if self.lastTaker == thread { self.lastTaker = nil }
        if let running = self.running.removeValue(forKey: thread) {
            if running.isStuck { self.stuckCount -= 1 }
            let time = min((now - running.since).nanoseconds, 8 * Self.slowTime)
            self.usualTime += (time - self.usualTime) / 8
        }
        if self.retired.remove(thread) != nil { return false }
        self.idle.insert(thread)
        return true
    }

    /// Asked by a thread that has done its job, and at once for its next one.
    package mutating func step(_ thread: ThreadNumber, now: NIODeadline) -> Step {
        let next = self.done(thread, now: now) ? self.take(thread, now: now) : .end
        return Step(
            next: next, wakesAnother: self.wakesOne(now: now), busy: self.busyCount, stuck: self.stuckCount,
            isQuick: self.isQuick)
    }

    // MARK: Waking

    /// Jobs take less time than waking a thread: whoever is at work takes what waits sooner than a thread that is woken for
    /// it. That one of them takes long after all is noticed by `isLate`.
    package var isQuick: Bool { self.usualTime < Self.quickTime }

    /// Whether a sleeping thread must be woken for what waits. One at a time: it asks again when it has taken its job.
    ///
    /// - Returns: whether the caller is to wake one now.
    package mutating func wakesOne(now: NIODeadline) -> Bool {
        guard !self.waiting.isEmpty, !self.sleeping.isEmpty, !self.isWaking else { return false }
        // Who took the last job comes soon, if jobs are quick and that was not long ago.
        if self.isQuick, self.lastTaker != nil, (now - self.lastTaken).nanoseconds < Self.slowTime / 4 { return false }
        self.isWaking = true
        return true
    }

    /// Whether something waits for longer than quick jobs would let it; no job counts as quick then.
    ///
    /// - Returns: whether the caller is to wake a thread now.
    package mutating func wakesForLate(now: NIODeadline) -> Bool {
        guard let first = self.waiting.first, (now - first.since).nanoseconds >= Self.slowTime / 2 else { return false }
        self.usualTime = max(self.usualTime, Self.slowTime)
        return self.wakesOne(now: now)
    }

    /// Finds what is over its time. Called at `next` of the sweep before, or earlier.
    package mutating func sweep(now: NIODeadline) -> Sweep {
        // With nothing to watch: whatever starts from now on is due no earlier than this.
        var sweep = Sweep(next: now + self.limits.requestTime)
        while let first = self.waiting.first {
            let due = first.since + self.limits.requestTime
            guard due <= now else {
                sweep.next = min(sweep.next, due)
                break
            }
            sweep.expired.append(self.waiting.removeFirst().job)
        }
        for (thread, running) in self.running where !running.isParked && !running.isStuck {
            let due = running.since + self.limits.requestTime
            guard due <= now else {
                sweep.next = min(sweep.next, due)
                continue
            }
            self.running[thread]?.isStuck = true
            self.stuckCount += 1
            sweep.stuck.append((thread, running.job))
            if self.stuckCount <= self.limits.stuckThreads && !self.isStopping {
                self.retired.insert(thread)
                sweep.replacements.append(self.addThread())
            }
        }
        return sweep
    }

    /// No job is admitted any more; what waits is still run, then the threads end.
    package mutating func stop() { self.isStopping = true }

    /// Gives up what waits.
    package mutating func abandonWaiting() -> [Job] {
        defer { self.waiting.removeAll() }
        return self.waiting.map(\.job)
    }
}

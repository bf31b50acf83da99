import Logging
package import NIOCore
import Synchronization
import Telemetry

/// A bounded number of threads that answer requests, with a bounded queue before them.
package final class WorkerPool: Sendable {
    package typealias State = PoolState<any PoolJob>

    private let state: Monitor<State>
    private let limits: State.Limits
    private let logger: Logger
    private let metrics: WorkersMetrics

    init(limits: State.Limits, logger: Logger, metrics: WorkersMetrics) {
        self.limits = limits
        self.state = Monitor(State(limits: limits))
        self.logger = logger
        self.metrics = metrics
    }

    /// Starts the threads.
    ///
    /// - Parameter loop: looks after the time limits; once per limit when all is well.
    /// - Throws: `cannotStart` when the system has too few threads; those already started end.
    package func start(watchedBy loop: any EventLoop) throws(WorkerError) {
        for _ in 0..<self.limits.threads {
            do {
                try self.startThread(self.state.withLock { $0.addThread() })
            } catch {
                self.stop()
                throw error
            }
        }
        self.watch(on: loop, at: .now() + self.limits.requestTime)
    }

    /// What became of jobs that were offered.
    package struct Submission: Sendable {
        /// So many from the first on.
        package var accepted = 0
        /// Why the others were not.
        package var otherwise = State.Admission.accepted
        /// Call `wakeForLate` in a millisecond: no thread was woken for some of them.
        package var isToBeWatched = false
        /// See `PoolState.isQuick`.
        package var isQuick = false
    }

    /// Offers jobs. Never waits.
    package func submit(_ jobs: [any PoolJob]) -> Submission {
        let now = NIODeadline.now()
        var submission = Submission()
        let (wakes, waiting) = self.state.withLock { state in
            for job in jobs {
                submission.otherwise = state.admit(job, now: now)
                guard submission.otherwise == .accepted else { break }
                submission.accepted += 1
            }
            let wakes = state.wakesOne(now: now)
            submission.isQuick = state.isQuick
            submission.isToBeWatched = state.isQuick && (!wakes || jobs.count > 1)
            return (wakes, state.waitingCount)
        }
        if wakes { self.state.wakeOne() }
        self.metrics.queued.set(waiting)
        return submission
    }

    /// Wakes a thread when those at work have not come for what waits.
    package func wakeForLate() {
        if self.state.withLock({ $0.wakesForLate(now: .now()) }) { self.state.wakeOne() }
    }

    /// Admits nothing more, lets the threads finish what is queued, and then end. Returns at once.
    package func stop() {
        self.state.broadcast { $0.stop() }
    }

    /// Gives up what still waits, after `stop`: nobody is left to read an answer.
    package func abandonWaiting() {
        for job in self.state.withLock({ $0.abandonWaiting() }) { job.expire() }
    }

    /// Counts at this moment.
    package var counts: (threads: Int, busy: Int, waiting: Int, stuck: Int) {
        self.state.withLock { ($0.threadCount, $0.busyCount, $0.waitingCount, $0.stuckCount) }
    }

    // MARK: threads

    private func startThread(_ thread: State.ThreadNumber) throws(WorkerError) {
        do {
            try WorkerThread.start(named: "worker-\(thread)") { self.work(thread) }
        } catch {
            self.state.withLock { $0.removeThread(thread) }
            throw error
        }
    }

    /// What a pool thread does all its life.
    private func work(_ thread: State.ThreadNumber) {
        var held = HeldJobs()
        var step = self.firstStep(thread)
        while case .run(let job) = step.next {
            self.tell(step)
            job.run(PoolPulse(thread: thread, state: self.state, mayHold: step.isQuick))
            let now = NIODeadline.now()
            if step.isQuick { held.add(job, now: now) }
            step = self.state.withLock { $0.step(thread, now: now) }
            guard case .run = step.next, step.isQuick, !held.areOld(now) else {
                held.deliver()
                if case .wait = step.next {
                    self.tell(step)
                    step = self.firstStep(thread)
                }
                continue
            }
        }
        self.tell(step)
    }

    private func tell(_ step: State.Step) {
        if step.wakesAnother { self.state.wakeOne() }
        self.metrics.busy.set(step.busy)
        self.metrics.stuck.set(step.stuck)
    }

    /// Waits for a job, or for the thread's end.
    private func firstStep(_ thread: State.ThreadNumber) -> State.Step {
        let step: State.Step? = self.state.wait { state in
            let now = NIODeadline.now()
            let next = state.take(thread, now: now)
            if case .wait = next { return nil }
            return State.Step(
                next: next, wakesAnother: state.wakesOne(now: now), busy: state.busyCount, stuck: state.stuckCount,
                isQuick: state.isQuick)
        }
        // Without a time limit it waits for ever.
        return step ?? State.Step(next: .end, wakesAnother: false, busy: 0, stuck: 0, isQuick: false)
    }

    // MARK: time limits

    private func watch(on loop: any EventLoop, at deadline: NIODeadline) {
        loop.scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            let sweep = self.state.withLock { $0.sweep(now: .now()) }
            self.obey(sweep)
            self.watch(on: loop, at: sweep.next)
        }
    }

    private func obey(_ sweep: State.Sweep) {
        for job in sweep.expired { job.expire() }
        for (thread, job) in sweep.stuck {
            job.overrun()
            self.metrics.overdue.increment()
            self.logger.error(
                "A request is over its time limit; its thread is given up. The application must limit its own waits",
                metadata: [LogKey.worker: "\(thread)", "request": "\(job)"])
        }
        for thread in sweep.replacements {
            do {
                try self.startThread(thread)
                self.metrics.replacedThreads.increment()
            } catch {
                self.logger.error(
                    "No thread in place of a stuck one: the pool is smaller now", metadata: [LogKey.error: "\(error)"])
            }
        }
        if sweep.stuck.count > sweep.replacements.count {
            self.logger.critical(
                "Too many stuck threads: some are not replaced and the pool is smaller now. Restart the worker",
                metadata: [LogKey.worker: "\(self.counts.threads)"])
        }
        if !sweep.stuck.isEmpty { self.metrics.stuck.set(self.counts.stuck) }
    }
}

/// Jobs of one thread that are done, and have not said so yet.
private struct HeldJobs {
    private var jobs: [any PoolJob] = []
    private var since = NIODeadline.distantFuture

    private static let time = TimeAmount.microseconds(200)

    mutating func add(_ job: any PoolJob, now: NIODeadline) {
        if self.jobs.isEmpty { self.since = now }
        self.jobs.append(job)
    }

    func areOld(_ now: NIODeadline) -> Bool { !self.jobs.isEmpty && now - self.since > Self.time }

    mutating func deliver() {
        for job in self.jobs { job.deliver() }
        self.jobs.removeAll(keepingCapacity: true)
    }
}

/// What a pool runs.
package protocol PoolJob: Sendable, CustomStringConvertible {
    /// Called on a pool thread, and may block.
    func run(_ pulse: PoolPulse)
    /// After one or more jobs were `run` with leave to hold what they say: says it. Called on the same thread.
    func deliver()
    /// Waited too long for a thread, and will not run. Called on any thread.
    func expire()
    /// Is over its time, and still running. Called on any thread.
    func overrun()
}

/// How a running job tells its pool that it is not stuck.
package struct PoolPulse: Sendable {
    let thread: WorkerPool.State.ThreadNumber
    let state: Monitor<WorkerPool.State>
    /// What the job says at its end may wait until `PoolJob.deliver`.
    let mayHold: Bool

    /// Runs `body`, which waits for a slow reader: the job's time stands still meanwhile, and begins anew after it.
    package func whileParked<Result>(_ body: () -> Result) -> Result {
        self.state.withLock { $0.parked(self.thread) }
        defer { self.state.withLock { $0.progressed(self.thread, now: .now()) } }
        return body()
    }
}

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

    /// Offers a job. Never waits.
    package func submit(_ job: any PoolJob) -> State.Admission {
        let (admission, waiting) = self.state.signal { state in
            (state.admit(job, now: .now()), state.waitingCount)
        }
        self.metrics.queued.set(waiting)
        return admission
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
        while let job = self.nextJob(thread) {
            self.metrics.busy.set(self.counts.busy)
            job.run(PoolPulse(thread: thread, state: self.state))
            let (goesOn, busy, stuck) = self.state.withLock { ($0.done(thread), $0.busyCount, $0.stuckCount) }
            self.metrics.busy.set(busy)
            self.metrics.stuck.set(stuck)
            if !goesOn { return }
        }
    }

    private func nextJob(_ thread: State.ThreadNumber) -> (any PoolJob)? {
        let next: State.Next? = self.state.wait { state in
            switch state.take(thread, now: .now()) {
            case .wait: nil
            case let next: next
            }
        }
        guard case .run(let job)? = next else { return nil }
        return job
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

/// What a pool runs.
package protocol PoolJob: Sendable, CustomStringConvertible {
    /// Called on a pool thread, and may block.
    func run(_ pulse: PoolPulse)
    /// Waited too long for a thread, and will not run. Called on any thread.
    func expire()
    /// Is over its time, and still running. Called on any thread.
    func overrun()
}

/// How a running job tells its pool that it is not stuck.
package struct PoolPulse: Sendable {
    let thread: WorkerPool.State.ThreadNumber
    let state: Monitor<WorkerPool.State>

    /// Runs `body`, which waits for a slow reader: the job's time stands still meanwhile, and begins anew after it.
    package func whileParked<Result>(_ body: () -> Result) -> Result {
        self.state.withLock { $0.parked(self.thread) }
        defer { self.state.withLock { $0.progressed(self.thread, now: .now()) } }
        return body()
    }
}

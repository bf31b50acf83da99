import Files
import Glibc
import NIOCore
import Sockets

/// What the connections of one event loop share: their time limits, the way to the pool and the way back. Used on that loop
/// only.
///
/// Waking a thread costs more than many a request, so threads are crossed once for all requests that one turn of the loop
/// has read. While requests are quick, see `PoolState.isQuick`, a thread that is at work is left to take what waits, and its
/// answers may wait for each other; then the shard looks every millisecond whether that was a mistake.
final class WorkerShard {
    let eventLoop: any EventLoop
    let watch: LoopWatch
    let answers: AnswerBox
    var clock = HTTPClock()
    /// Where answers are written.
    var scratch = ByteBuffer()
    private let pool: WorkerPool
    /// Read in this turn of the loop.
    private var batch: [Exchange] = []
    private var isLooking = false
    /// Something was handed over since the last look.
    private var isBusy = false

    private static let lookTime = TimeAmount.milliseconds(1)

    init(eventLoop: any EventLoop, pool: WorkerPool, limits: WorkersConfiguration) {
        self.eventLoop = eventLoop
        self.pool = pool
        self.answers = AnswerBox(eventLoop)
        self.watch = LoopWatch(
            eventLoop: eventLoop,
            tick: LoopWatch.tick(
                for: limits.headTimeout, limits.bodyTimeout, limits.writeTimeout, limits.idleTimeout,
                WorkerConnection.lingerTime))
    }

    /// Hands `exchange` to the pool with the others of this turn.
    func submit(_ exchange: Exchange) {
        self.batch.append(exchange)
        guard self.batch.count == 1 else { return }
        // Runs when all sockets that can be read now have been.
        self.eventLoop.assumeIsolated().execute { self.submitBatch() }
    }

    private func submitBatch() {
        let batch = self.batch
        self.batch.removeAll(keepingCapacity: true)
        let result = self.pool.submit(batch)
        // Where it shares this processor, the thread that was woken makes its answers before the loop sleeps, and need not
        // wake it again.
        if result.isQuick { sched_yield() }
        if result.isToBeWatched { self.look(after: Self.lookTime) }
        for (index, exchange) in batch.enumerated() {
            exchange.admitted(index < result.accepted ? .accepted : result.otherwise)
        }
    }

    private func look(after time: TimeAmount) {
        self.isBusy = true
        guard !self.isLooking else { return }
        self.isLooking = true
        self.answers.mayHold(true)
        self.scheduleLook(time)
    }

    private func scheduleLook(_ time: TimeAmount) {
        self.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.pool.wakeForLate()
            self.isLooking = self.isBusy
            self.answers.mayHold(self.isBusy)
            self.answers.empty()
            if self.isBusy { self.scheduleLook(time) }
            self.isBusy = false
        }
    }
}

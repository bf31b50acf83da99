import Glibc
package import NIOCore

/// State behind a lock that threads can wait on, until it changes or a time has come.
///
/// `Synchronization.Mutex` has no condition variable, and NIO's `ConditionLock` compares whole states; pool threads need
/// "wake one of you". `@unchecked`: `state` is only touched between lock and unlock of `mutex`.
package final class Monitor<State: Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    package init(_ state: State) {
        self.state = state
        pthread_mutex_init(self.mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // NIODeadline counts on the monotonic clock; the default one jumps when somebody sets the date.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(self.condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(self.condition)
        pthread_mutex_destroy(self.mutex)
        self.condition.deallocate()
        self.mutex.deallocate()
    }

    /// Reads or changes the state; wakes nobody. A few lines, nothing that waits.
    package func withLock<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        return try body(&self.state)
    }

    /// As `withLock`, then wakes one waiting thread.
    package func signal<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        defer { pthread_cond_signal(self.condition) }
        return try self.withLock(body)
    }

    /// Wakes one waiting thread, for a change that was made before.
    package func wakeOne() { pthread_cond_signal(self.condition) }

    /// As `withLock`, then wakes all waiting threads.
    package func broadcast<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        defer { pthread_cond_broadcast(self.condition) }
        return try self.withLock(body)
    }

    /// Waits until `body` gives a value. It is asked at once, and again each time somebody signals.
    ///
    /// - Parameter deadline: when to give up; `nil` for never.
    /// - Returns: the value, or `nil` when the deadline passed first.
    package func wait<Result>(until deadline: NIODeadline? = nil, for body: (inout State) -> Result?) -> Result? {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        while true {
            if let result = body(&self.state) { return result }
            guard let deadline else {
                pthread_cond_wait(self.condition, self.mutex)
                continue
            }
            guard NIODeadline.now() < deadline else { return nil }
            var time = timespec()
            time.tv_sec = Int(deadline.uptimeNanoseconds / 1_000_000_000)
            time.tv_nsec = Int(deadline.uptimeNanoseconds % 1_000_000_000)
            pthread_cond_timedwait(self.condition, self.mutex, &time)
        }
    }
}

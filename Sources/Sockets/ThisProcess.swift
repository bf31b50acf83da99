import Glibc

/// The process that this is.
package enum ThisProcess {
    /// Asks it to end as an operator would (SIGTERM): there is one way out, and it finishes what runs.
    package static func askToEnd() { kill(getpid(), SIGTERM) }
}

internal import Basics

/// When and how long to wait before a request is made again.
package struct RetryPolicy: Sendable {
    /// Attempts at one request while the server answers, however badly.
    package var attempts = 8
    /// Attempts at one request while connections stall: each costs half a minute.
    package var attemptsAtStalls = 3
    /// Attempts at sending bytes that arrive hurt.
    package var attemptsAtDamage = 5
    /// The first pause is up to this long, each next one up to twice the one before (full jitter: many clients that failed
    /// together must not come back together).
    package var firstPause: Duration = .milliseconds(100)
    package var longestPause: Duration = .seconds(10)
    /// How long to go on while nobody answers: short before the first answer (a wrong address must be told at once), longer
    /// after it (a server that restarts).
    package var patienceAtFirst: Duration = .seconds(3)
    package var patienceLater: Duration = .seconds(30)
    /// No attempt begins later than this after the first one that failed.
    package var deadline: Duration = .seconds(600)
    /// Whoever waits is told once an attempt has been failing for this long.
    package var silence: Duration = .seconds(3)
    /// A connection that moves fewer than 100 bytes a second for this long is given up; whole seconds.
    package var stallTimeout: Duration = .seconds(30)

    package init() {}

    /// The pause before attempt `attempt + 1`, with `attempt` from 1; a server's `Retry-After` is a lower bound.
    package func pause(after attempt: Int, retryAfter: Duration?, using random: Double) -> Duration {
        let ceiling = min(longestPause.seconds, firstPause.seconds * Double(1 << min(attempt - 1, 20)))
        let jittered = ceiling * max(0, min(1, random))
        return .seconds(max(jittered, min(retryAfter?.seconds ?? 0, 60)))
    }
}

internal import Synchronization

/// Bounds how many bytes move in a second, over everything that shares it.
///
/// What moved is paid for afterwards: `spend` notes it, and nothing more should move until `pause` is over. So a block of any
/// size may go at once, and the mean still holds.
package final class RateLimiter: Sendable {
    /// At least 1024: below that, headers and acknowledgements cost more than what they carry.
    package let bytesPerSecond: Int64
    /// What was not used is not saved up for longer than this.
    private static let longestSaving: Duration = .milliseconds(50)

    private let paidUntil: Mutex<ContinuousClock.Instant>
    private let now: @Sendable () -> ContinuousClock.Instant

    package init(
        bytesPerSecond: Int64, now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        precondition(bytesPerSecond >= 1024, "a rate must be at least 1024 bytes a second, not \(bytesPerSecond)")
        self.bytesPerSecond = bytesPerSecond
        self.now = now
        paidUntil = Mutex(now())
    }

    /// Notes that `count` bytes moved.
    package func spend(_ count: Int) {
        let cost = Duration.seconds(Double(count) / Double(bytesPerSecond))
        let now = now()
        paidUntil.withLock { $0 = max($0, now - RateLimiter.longestSaving) + cost }
    }

    /// How long nothing more should move; zero or more.
    package var pause: Duration {
        let now = now()
        return paidUntil.withLock { max(.zero, now.duration(to: $0)) }
    }

    /// Waits until something may move again.
    package func wait() async throws {
        let pause = pause
        if pause > .zero { try await Task.sleep(for: pause) }
    }
}

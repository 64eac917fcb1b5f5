internal import Basics
internal import Synchronization

/// Receives a sentence about what goes wrong and is tried again.
package typealias NoticeHandler = @Sendable (String) -> Void

/// Tells whoever waits that requests fail and are made again: once they have been failing for a while, and now and then
/// after that, however many fail at once.
final class RetryNotices: Sendable {
    private static let interval: Duration = .seconds(10)

    private let silence: Duration
    private let handler: NoticeHandler?
    private let next = Mutex<ContinuousClock.Instant?>(nil)

    init(after silence: Duration, _ handler: NoticeHandler?) {
        self.silence = silence
        self.handler = handler
    }

    /// - Parameters:
    ///   - reason: what is wrong, as an error says it.
    ///   - failing: since the first attempt at this request failed, with the pause that comes now.
    func tell(_ reason: String, attempt: Int, failingFor failing: Duration) {
        guard let handler, failing >= silence else { return }
        let now = ContinuousClock.now
        let isDue = next.withLock { next in
            if let next, now < next { return false }
            next = now + RetryNotices.interval
            return true
        }
        guard isDue else { return }
        handler("\(reason); trying again (attempt \(attempt + 1), failing for \(Int(failing.seconds)) s)")
    }
}

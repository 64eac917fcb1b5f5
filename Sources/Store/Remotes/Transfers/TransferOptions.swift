package import Basics
package import ContentStorage

/// How content moves to and from remotes.
package struct TransferOptions: Sendable {
    /// Packs and ranges that move at a time, at least 1.
    package var jobs: Int
    /// Bounds what moves in a second over all connections together.
    package var limiter: RateLimiter?
    package var progress: ProgressHandler?
    /// Told when requests keep failing and are made again.
    package var notice: NoticeHandler?

    package init(
        jobs: Int = 8, limiter: RateLimiter? = nil, progress: ProgressHandler? = nil, notice: NoticeHandler? = nil
    ) {
        precondition(jobs > 0, "jobs must be at least 1, not \(jobs)")
        self.jobs = jobs
        self.limiter = limiter
        self.progress = progress
        self.notice = notice
    }
}

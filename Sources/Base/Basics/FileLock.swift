internal import CSystem
internal import Glibc

/// A lock on a file through `flock(2)`: the kernel drops it when its holder dies, so no lock is ever stale.
package final class FileLock: Sendable {
    package enum Mode: Sendable { case shared, exclusive }

    private let descriptor: Int32

    /// Waits up to `timeout` for the lock on `path`, which is created if missing.
    ///
    /// - Throws: kind `.conflict` when others keep holding it.
    package init(_ path: String, _ mode: Mode, timeout: Duration = .seconds(0)) async throws {
        try Failpoint.reach("lock.open")
        descriptor = mlops_open(path, O_RDWR | O_CREAT, 0o644)
        if descriptor < 0 { throw MLOpsError.system("open", path, errno: errno) }
        let operation = (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
        let deadline = ContinuousClock.now + timeout
        while flock(descriptor, operation) != 0 {
            let failure = errno
            guard failure == EWOULDBLOCK || failure == EINTR else {
                throw MLOpsError.system("lock", path, errno: failure)
            }
            if ContinuousClock.now >= deadline {
                throw MLOpsError(
                    .conflict, "`\(path)` is locked by another process",
                    hint: "wait for the other `mlops` to end, then run the same command again")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    deinit {
        // A child that was just forked may hold the descriptor for a moment longer; the lock ends now all the same.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}

internal import Basics
internal import Glibc
internal import Synchronization

/// Keeps collections of garbage away while somebody adds to the store, or relies on what it holds until a pointer names it.
///
/// Any number of leases may be held, by any processes; the sweep of a collection waits for all of them. The kernel ends the
/// lease of a process that dies.
package final class StoreLease: Sendable {
    private let lock: FileLock

    init(_ lock: FileLock) { self.lock = lock }
}

/// The lease of this process, while there is one, so that leases within leases cost nothing.
struct HeldLease {
    weak var lease: StoreLease?
}

extension ContentStore {
    /// How long an addition waits for a sweep, which removes files and does nothing else.
    private static let leasePatience: Duration = .seconds(60)
    /// How long a sweep waits for additions.
    static let sweepPatience: Duration = .seconds(10)

    private var lockPath: String { FileSystem.join(folder, "lock") }

    /// A lease, held until it is let go of.
    ///
    /// - Throws: kind `.conflict` if a sweep does not end.
    package func lease() async throws -> StoreLease {
        if let held = heldLease.withLock({ $0.lease }) { return held }
        try FileSystem.createDirectories(folder, flushes: !isScratch)
        hideFromGit()
        while true {
            // A sweep that was killed: its packs must be gone before one of them can be added again.
            guard let lock = try await lockUnlessDoomed() else {
                try await finishSweep()
                continue
            }
            // What the index said before this moment may have been swept away.
            try index.refresh()
            let lease = StoreLease(lock)
            heldLease.withLock { $0.lease = lease }
            return lease
        }
    }

    /// Has git take nothing in the folder for its own, whatever commit is checked out: the `.gitignore` of one that is older than the
    /// project says nothing of it, and `git clean` would remove it.
    package func hideFromGit() {
        let path = FileSystem.join(folder, ".gitignore")
        guard !isScratch, !FileSystem.exists(path) else { return }
        // Whoever may not write here changes nothing here either.
        try? FileSystem.replaceUnflushed(path, with: Array("*\n".utf8))
    }

    private func lockUnlessDoomed() async throws -> FileLock? {
        let lock = try await FileLock(lockPath, .shared, timeout: ContentStore.leasePatience)
        return FileSystem.exists(packs.doomPath) ? nil : lock
    }

    /// Runs `body` while nobody else adds anything.
    ///
    /// - Throws: kind `.conflict` if additions do not end.
    func whileAlone<Result>(
        patience: Duration = ContentStore.sweepPatience, isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try FileSystem.createDirectories(folder)
        let lock: FileLock
        do {
            lock = try await FileLock(lockPath, .exclusive, timeout: patience)
        } catch let error as MLOpsError where error.kind == .conflict {
            throw MLOpsError(
                .conflict, "the store is in use: another `mlops` is adding to it",
                hint: "run the same command again when it has ended; nothing was removed", cause: error)
        }
        defer { withExtendedLifetime(lock) {} }
        return try await body()
    }

    private func finishSweep() async throws {
        do {
            try await whileAlone { try packs.finishDoom() }
        } catch let error as MLOpsError where error.kind == .conflict {
            // Somebody else is at it, or was and adds already.
            if FileSystem.exists(packs.doomPath) { throw error }
        }
    }
}

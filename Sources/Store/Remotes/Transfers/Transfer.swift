internal import Basics
package import ContentStorage

/// Moves content between a store and a remote, only what the other side lacks.
///
/// Order of writing: packs, then one index file that names all of them. So what an index names is there, with everything
/// that it needs, and an interrupted push leaves packs that nobody sees until the next one finds and uses them.
package struct Transfer: Sendable {
    let store: ContentStore
    let remote: any Remote
    let jobs: Int
    let progress: ProgressHandler?
    /// A push that finds this many index files merges them: each costs every machine one request, once.
    package var mergesIndexAt = 64

    package init(store: ContentStore, remote: any Remote, options: TransferOptions) {
        self.init(store: store, remote: remote, jobs: options.jobs, progress: options.progress)
    }

    /// - Parameter jobs: packs and ranges that move at a time.
    package init(store: ContentStore, remote: any Remote, jobs: Int = 8, progress: ProgressHandler? = nil) {
        precondition(jobs > 0, "jobs must be at least 1, not \(jobs)")
        self.store = store
        self.remote = remote
        self.jobs = jobs
        self.progress = progress
    }

    var indexReader: RemoteIndexReader {
        let folder = FileSystem.join(store.folder, "cache/remotes/\(Transfer.cacheName(of: remote))")
        return RemoteIndexReader(remote: remote, cacheFolder: folder, isScratch: store.isScratch, jobs: jobs)
    }

    /// The folder below `.mlops/cache/remotes` in which copies of the index of `remote` are kept.
    package static func cacheName(of remote: any Remote) -> String {
        String(Digest.of(remote.location).hex.prefix(16))
    }

    /// The error for a pack of the remote that does not hold what it should.
    func damagedPack(_ key: String, cause: any Error) -> MLOpsError {
        MLOpsError(
            .damaged, "`\(key)` in the remote `\(remote.location)` is damaged",
            hint: "remove it there, then run `mlops push` where the data is whole", cause: cause)
    }
}

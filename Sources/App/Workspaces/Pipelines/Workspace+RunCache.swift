internal import Basics
internal import ContentStorage
internal import Pipelines
package import Remotes

/// Results of stages on a remote: `stages/<digest>.ndjson`, bundles of cache entries. What they name lies there as any content.
extension Workspace {
    /// What `push --run-cache` and `pull --run-cache` moved.
    package struct RunCacheReport: Encodable, Sendable {
        /// Results of stages that the other side did not have.
        package var entryCount: Int
        package var transfer: TransferReport
    }

    /// In the remote.
    private static let stages = "stages"

    /// Sends the results of stages that the remote does not have, with their outputs.
    package func pushRunCache(
        remoteName: String?, options: TransferOptions = TransferOptions()
    ) async throws -> RunCacheReport {
        try await shareRunCache(remoteName, options) { remote, shared, known in
            let entries = try shared.entries(without: Set(known.map(\.fingerprint))).filter { entry in
                try entry.outputs.allSatisfy { try store.contains(ContentRoot($0)) }
            }
            // The content goes first: an entry that is there must never name content that is not.
            return try await moved(entries, of: remote, options, { try await $0.push($1) }) {
                for start in stride(from: 0, to: entries.count, by: SharedStageCache.bundleLimit) {
                    let bytes = shared.bundle(Array(entries[start...].prefix(SharedStageCache.bundleLimit)))
                    try await remote.put(bytes, at: "\(Workspace.stages)/\(Digest.of(bytes).hex).ndjson")
                }
            }
        }
    }

    /// Fetches the results of stages that are not known here, with their outputs; nothing is checked out.
    package func pullRunCache(
        remoteName: String?, options: TransferOptions = TransferOptions()
    ) async throws -> RunCacheReport {
        try await shareRunCache(remoteName, options) { remote, shared, known in
            let entries = known.filter { !shared.has($0.fingerprint) }
            return try await moved(entries, of: remote, options, { try await $0.pull($1) }) {
                try shared.install(entries)
            }
        }
    }

    /// `body` with the remote, the results of this machine and those of the remote, while no content is collected here.
    private func shareRunCache(
        _ remoteName: String?, _ options: TransferOptions,
        _ body: (any Remote, SharedStageCache, [SharedStageCache.Entry]) async throws -> RunCacheReport
    ) async throws -> RunCacheReport {
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let remote = try open(self.remote(named: remoteName), options: options)
        let shared = SharedStageCache(workspace: folder)
        return try await body(remote, shared, try await entries(on: remote, shared))
    }

    /// Moves what the entries name, and then, with `noting`, the entries.
    private func moved(
        _ entries: [SharedStageCache.Entry], of remote: any Remote, _ options: TransferOptions,
        _ move: (Transfer, [ContentRoot]) async throws -> TransferReport, noting: () async throws -> Void
    ) async throws -> RunCacheReport {
        guard !entries.isEmpty else { return RunCacheReport(entryCount: 0, transfer: TransferReport()) }
        let roots = Set(entries.flatMap(\.outputs).map(ContentRoot.init))
        let transfer = try await move(Transfer(store: store, remote: remote, options: options), Array(roots))
        try await noting()
        return RunCacheReport(entryCount: entries.count, transfer: transfer)
    }

    /// The entries of all bundles of the remote; those that were read before come from `.mlops/cache/bundles`.
    private func entries(
        on remote: any Remote, _ shared: SharedStageCache
    ) async throws -> [SharedStageCache.Entry] {
        let place = FileSystem.join(folder, "cache/bundles")
        let items = try await remote.list(Workspace.stages)
        let bundles = try await mapConcurrently(items.map(\.key).filter { $0.hasSuffix(".ndjson") }, width: 8) { key in
            let name = FileSystem.name(of: key)
            let path = FileSystem.join(place, name)
            let digest = name.dropLast(7)
            if let bytes = try? FileSystem.read(path), Digest.of(bytes).hex == digest {
                return try shared.read(bytes, name: key)
            }
            let bytes = try await remote.get(key)
            guard Digest.of(bytes).hex == digest else {
                throw MLOpsError(
                    .damaged, "`\(printable(key))` on the remote does not hold what its name says",
                    hint: "remove it from the remote; a later `mlops push --run-cache` sends what it should hold")
            }
            let entries = try shared.read(bytes, name: key)
            try FileSystem.createDirectories(place)
            try FileSystem.replaceUnflushed(path, with: bytes)
            return entries
        }
        return bundles.flatMap(\.self)
    }
}

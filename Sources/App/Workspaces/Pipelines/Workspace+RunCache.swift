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
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let remote = try open(self.remote(named: remoteName), options: options)
        let shared = SharedStageCache(workspace: folder)
        let known = try await bundles(on: remote, shared).flatMap(\.entries).map(\.fingerprint)
        let entries = try shared.entries(without: Set(known)).filter { entry in
            try entry.outputs.allSatisfy { try store.contains(ContentRoot($0)) }
        }
        guard !entries.isEmpty else { return RunCacheReport(entryCount: 0, transfer: TransferReport()) }
        // The content goes first: an entry that is there must never name content that is not.
        let roots = Set(entries.flatMap(\.outputs).map(ContentRoot.init))
        let transfer = try await Transfer(store: store, remote: remote, options: options).push(Array(roots))
        for start in stride(from: 0, to: entries.count, by: SharedStageCache.bundleLimit) {
            let bytes = shared.bundle(Array(entries[start..<min(start + SharedStageCache.bundleLimit, entries.count)]))
            try await remote.put(bytes, at: "\(Workspace.stages)/\(Digest.of(bytes).hex).ndjson")
        }
        return RunCacheReport(entryCount: entries.count, transfer: transfer)
    }

    /// Fetches the results of stages that are not known here, with their outputs; nothing is checked out.
    package func pullRunCache(
        remoteName: String?, options: TransferOptions = TransferOptions()
    ) async throws -> RunCacheReport {
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let remote = try open(self.remote(named: remoteName), options: options)
        let shared = SharedStageCache(workspace: folder)
        let entries = try await bundles(on: remote, shared).flatMap(\.entries).filter { !shared.has($0.fingerprint) }
        guard !entries.isEmpty else { return RunCacheReport(entryCount: 0, transfer: TransferReport()) }
        let roots = Set(entries.flatMap(\.outputs).map(ContentRoot.init))
        let transfer = try await Transfer(store: store, remote: remote, options: options).pull(Array(roots))
        try shared.install(entries)
        return RunCacheReport(entryCount: entries.count, transfer: transfer)
    }

    private struct Bundle: Sendable {
        var entries: [SharedStageCache.Entry]
    }

    /// All bundles of the remote; those that were read before come from `.mlops/cache/bundles`.
    private func bundles(on remote: any Remote, _ shared: SharedStageCache) async throws -> [Bundle] {
        let place = FileSystem.join(folder, "cache/bundles")
        let items = try await remote.list(Workspace.stages)
        return try await mapConcurrently(items.map(\.key).filter { $0.hasSuffix(".ndjson") }, width: 8) { key in
            let name = FileSystem.name(of: key)
            let path = FileSystem.join(place, name)
            let digest = name.dropLast(7)
            if let bytes = try? FileSystem.read(path), Digest.of(bytes).hex == digest {
                return Bundle(entries: try shared.read(bytes, name: key))
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
            return Bundle(entries: entries)
        }
    }
}

internal import Basics
package import ContentStorage
internal import Remotes

extension Workspace {
    /// Removes content that nothing in the project needs any more, or says what would go.
    ///
    /// - Throws: kind `.damaged`, with nothing removed, if anything that may name content cannot be read.
    package func collect(_ policy: RetentionPolicy, options: CollectionOptions) async throws -> CollectionReport {
        // One moment for all of it, and no later than the disk's clock: one that has jumped ahead makes all look old.
        let (system, disk) = (options.now(), store.diskTime)
        let start = disk.map { system.milliseconds > $0.milliseconds + 1000 ? $0 : system } ?? system
        var options = options
        options.now = { start }
        let roots = CollectionRoots(self, policy: policy, options: options)
        var report = try await store.collect(
            options: options, willRemove: { _ = try roots.removeExpired() }, roots: { try await roots.find() })
        if !options.isDryRun { report.leftoverCount += try removeLeftovers(before: options) }
        return report
    }

    /// Removes what writers that died left below `.mlops` and `registry`, and copies of the indexes of remotes that nobody
    /// uses; how many.
    private func removeLeftovers(before options: CollectionOptions) throws -> Int {
        // Nothing small takes an hour to be written.
        let oldest = options.now().milliseconds - 3_600_000
        var count = 0
        func visit(_ folder: String) throws {
            for name in try FileSystem.list(folder) {
                let path = FileSystem.join(folder, name)
                guard let status = try FileStatus.of(path) else { continue }
                if status.kind == .directory, path != FileSystem.join(self.folder, "store/packs") { try visit(path) }
                let isLeft = name.hasPrefix(".") && name.hasSuffix(TemporaryFile.ending) || folder == store.incomingPath
                guard isLeft, status.kind == .file, status.modificationNanoseconds / 1_000_000 < oldest else {
                    continue
                }
                if TemporaryFile.removeIfAbandoned(path) { count += 1 }
            }
        }
        for folder in [self.folder, absolute("registry")] where FileSystem.isDirectory(folder) { try visit(folder) }
        return try count + removeRemoteCaches(before: options)
    }

    private func removeRemoteCaches(before options: CollectionOptions) throws -> Int {
        let folder = FileSystem.join(self.folder, "cache/remotes")
        guard FileSystem.isDirectory(folder) else { return 0 }
        let used = Set(try remotes().compactMap { try? Transfer.cacheName(of: open($0)) })
        var count = 0
        for name in try FileSystem.list(folder) where !used.contains(name) {
            let path = FileSystem.join(folder, name)
            guard let status = try FileStatus.of(path),
                status.modificationNanoseconds / 1_000_000 < options.graceStart.milliseconds
            else { continue }
            try FileSystem.removeTree(path)
            count += 1
        }
        return count
    }
}

internal import Basics
internal import CSystem
internal import Glibc

extension ContentStore {
    /// Makes `path` hold exactly `root`: writes what differs, leaves the rest alone, removes what is not part of it.
    ///
    /// Each file appears whole or not at all, and only after its bytes have been compared with its digest.
    ///
    /// - Throws: kind `.failed` if content would be lost that the store does not hold, and `force` is not set: nothing is
    ///   changed then. `.damaged` if the store lacks something, before anything is changed, or holds it broken.
    @discardableResult
    package func checkout(
        _ root: ContentRoot, to path: String, options: CheckoutOptions = CheckoutOptions()
    ) async throws -> CheckoutReport {
        try await withTrueIndex { try await checkoutOnce(root, to: path, options: options) }
    }

    private func checkoutOnce(
        _ root: ContentRoot, to path: String, options: CheckoutOptions
    ) async throws -> CheckoutReport {
        let absolute = FileSystem.absolute(path)
        let scan =
            try FileStatus.of(absolute) == nil
            ? nil
            : try await identified(path, jobs: options.jobs, keepsSpecial: true, youngFiles: options.youngFiles)
        var report = CheckoutReport()
        if let scan, scan.content.digest == root.digest, scan.content.kind == root.kind {
            report.unchangedFileCount = root.fileCount
            return report
        }
        let lacking = try missingContent(below: [root], options.selection).compactMap(\.candidates.first)
        if let key = lacking.first(where: { options.source?.holds($0) != true }) { throw ContentStore.missing(key) }
        let plan = try CheckoutPlan(root, store: self, scan: scan, selection: options.selection)
        if !options.force, let scan { try refuseLosses(plan.losses, in: scan, at: path, options) }
        removeAbandoned(at: absolute, scan)
        try await carry(out: plan, path: path, options: options)
        report.writtenFileCount = plan.writes.count + plan.modes.count
        report.writtenByteCount = plan.writes.reduce(0) { $0 + $1.byteCount }
        report.removedFileCount = plan.extra.count + plan.blocking.count
        report.unchangedFileCount = plan.unchangedFileCount
        return report
    }

    /// Removes what checkouts that were killed have left behind.
    private func removeAbandoned(at path: String, _ scan: WorkspaceScan?) {
        guard let scan, !scan.isFile else {
            let parent = FileSystem.parent(of: path)
            // Of a folder with thousands of files each may be checked out by itself.
            if let folder = try? openFolder(parent, displayPath: parent) {
                TemporaryFile.removeAbandonedOnce(in: folder)
            }
            return
        }
        for folder in scan.folders where !folder.leftovers.isEmpty {
            guard let place = try? scan.root.open(folder.path, flags: O_RDONLY | O_DIRECTORY) else { continue }
            for name in folder.leftovers { TemporaryFile.removeIfAbandoned(name, in: place.descriptor) }
        }
    }

    private func refuseLosses(
        _ losses: [CheckoutPlan.Loss], in scan: WorkspaceScan, at path: String, _ options: CheckoutOptions
    ) throws {
        // What was added in place lies nowhere but in the file that would go.
        let isHere = try holds(losses.map { ($0.digest, $0.byteCount) }, inPacksAlone: true)
        // What came in place from where the new content comes from is there still.
        let source = options.isInPlace ? options.source : nil
        let unstored = zip(losses, isHere).filter { loss, isHere in
            let isThere = [.chunk, .manifest].contains { source?.holds(ObjectKey($0, loss.digest)) == true }
            return !isHere && !isThere || loss.isSpecial
        }.map(\.0)
        let torn = torn(unstored, in: scan)
        let lost = unstored.map(\.path).filter { !torn.contains($0) }
        guard let first = lost.first.map({ $0.isEmpty ? path : FileSystem.join(path, $0) }) else { return }
        let others = lost.count > 1 ? " and \(Format.count(lost.count - 1, "more file"))" : ""
        let verb = lost.count > 1 ? "hold" : "holds"
        throw MLOpsError(
            .failed,
            "`\(first)`\(others) \(verb) changes that are stored nowhere and would be lost",
            hint: "run `mlops add \(path)` to keep them, or repeat the command with `--force` to give them up")
    }

    private func carry(out plan: CheckoutPlan, path: String, options: CheckoutOptions) async throws {
        let base = try makeFolder(FileSystem.parent(of: FileSystem.absolute(path)))
        guard !plan.writes.isEmpty else { return try await carry(out: plan, path: path, base: base, options: options) }
        try await notingCheckout(into: base) { try await carry(out: plan, path: path, base: base, options: options) }
    }

    private func carry(
        out plan: CheckoutPlan, path: String, base: OpenFile, options: CheckoutOptions
    ) async throws {
        let absolute = FileSystem.absolute(path)
        let name = FileSystem.name(of: absolute)
        // What stays where it is written is not to be lost with a folder that nobody saw.
        if plan.isNewFolder, !options.isInPlace,
            let hidden = try HiddenFolder(
                in: base, for: name, displayPath: path,
                namesGitIgnore: plan.writes.contains { $0.path.utf8.elementsEqual(".gitignore".utf8) })
        {
            return try await carry(out: plan, into: hidden, path: path, options: options)
        }
        // Paths of the plan lie below the root; from its parent they begin with its name.
        let folder = CheckoutFolder(root: base, displayPath: FileSystem.parent(of: path))
        func full(_ path: String) -> String { path.isEmpty ? name : name + "/" + path }
        for path in plan.blocking { try folder.remove(full(path)) }
        for path in plan.blockingFolders { try folder.removeFolder(full(path)) }
        for path in plan.folders { try folder.makeFolder(full(path)) }
        for (path, isExecutable) in plan.modes { try folder.setExecutable(full(path), isExecutable) }
        let writes = plan.writes.map { write in
            var write = write
            write.path = full(write.path)
            return write
        }
        var writer = writer(of: writes, in: folder, options)
        if options.isInPlace { writer.inPlaceBase = FileSystem.parent(of: absolute) }
        do {
            try await writer.run(writes, from: options.source)
        } catch {
            // The files that are there are right: let the next try know them.
            try? await remember(writer.written, at: path, options)
            throw error
        }
        for path in plan.extra { try folder.remove(full(path)) }
        for path in plan.extraFolders { try folder.removeFolder(full(path)) }
        try await remember(writer.written, at: path, options)
    }

    /// Does the same where nothing is: in a folder that appears when it is whole, or with what came before an error.
    private func carry(
        out plan: CheckoutPlan, into hidden: HiddenFolder, path: String, options: CheckoutOptions
    ) async throws {
        let folder = CheckoutFolder(root: hidden.folder, displayPath: path, isHidden: true)
        let writer = writer(of: plan.writes, in: folder, options)
        do {
            for path in plan.folders where !path.isEmpty { try folder.makeFolder(path) }
            try await writer.run(plan.writes, from: options.source)
        } catch {
            try? hidden.appear()
            try? await remember(writer.written, at: path, options)
            throw error
        }
        try hidden.appear()
        try await remember(writer.written, at: path, options)
    }

    private func writer(
        of writes: [CheckoutPlan.Write], in folder: CheckoutFolder, _ options: CheckoutOptions
    ) -> CheckoutWriter {
        let progress = ProgressCounter(
            options.progress, totalBytes: writes.reduce(0) { $0 + $1.byteCount }, totalFiles: writes.count)
        return CheckoutWriter(store: self, folder: folder, jobs: max(1, options.jobs), progress: progress)
    }

    /// Puts what was just written into the stat cache.
    private func remember(_ written: WrittenFiles, at path: String, _ options: CheckoutOptions) async throws {
        guard try FileStatus.of(FileSystem.absolute(path)) != nil else { return }
        let jobs = max(1, options.jobs)
        if options.youngFiles.waits(for: written.byteCount, fileCount: written.count) {
            try await StableRead.letAge(StableRead.now())
        }
        let scan = try await WorkspaceScan.make(
            of: try workspaceRoot(path), index: index, jobs: jobs, keepsSpecial: true)
        let now = StableRead.now()
        for place in scan.unknown {
            let folder = scan.folders[place.folder]
            var entry = folder.entries[place.entry]
            guard let digest = written.digest(of: entry) else { continue }
            entry.digest = digest
            entry.isKnown = true
            entry.isRacy = StableRead.isRacy(changed: entry.changeNanoseconds, hashedFrom: now)
            folder.entries[place.entry] = entry
        }
        try await scan.hashUnknown(
            jobs: jobs, progress: ProgressCounter(nil, totalBytes: 0, totalFiles: 0), youngFiles: options.youngFiles)
        scan.summarize()
        try? index.record(packs: [], complete: [], folders: scan.updates)
    }

    /// Makes the folders up to `absolute`, following no link inside the project, and opens the last.
    private func makeFolder(_ absolute: String) throws -> OpenFile {
        if FileSystem.isDirectory(absolute) { return try openFolder(absolute, displayPath: absolute) }
        let parent = try makeFolder(FileSystem.parent(of: absolute))
        try Failpoint.reach("checkout.folder")
        if mkdirat(parent.descriptor, FileSystem.name(of: absolute), 0o777) != 0, errno != EEXIST {
            throw MLOpsError.system("create", absolute, errno: errno)
        }
        return try openFolder(absolute, displayPath: absolute)
    }
}

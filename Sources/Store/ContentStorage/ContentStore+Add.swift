internal import Basics

extension ContentStore {
    /// Stores the file or folder at `path`, reading only what has changed since it was last looked at.
    ///
    /// When this returns, all of it lies on the disk. Files are streamed; memory stays bounded whatever their size.
    ///
    /// - Throws: kind `.usage` for pipes, sockets, devices and reserved names; `.failed` if a file changes meanwhile.
    package func add(path: String, options: AddOptions = AddOptions()) async throws -> AddReport {
        let root = try workspaceRoot(path)
        let lease = try await lease()
        defer { withExtendedLifetime(lease) {} }
        let jobs = max(1, options.jobs)
        let scan = try await WorkspaceScan.make(of: root, index: index, jobs: jobs)
        try forgetAbsent(in: scan, inPacksAlone: !options.isInPlace)
        let session = try AddSession(index: index, packs: packs, isInPlace: options.isInPlace)
        let unknown = scan.unknown
        try await scan.letAge(unknown, options.youngFiles)
        let total = unknown.reduce(0) { $0 + scan.entry($1).byteCount }
        let progress = ProgressCounter(options.progress, totalBytes: total, totalFiles: unknown.count)
        // A small addition ends up in one pack if one task does it.
        let workers = (0..<(total < StoreLimits.batch ? 1 : jobs)).map { _ in AddWorker(session: session) }
        let files = try await addFiles(
            unknown, of: scan, workers: workers, explains: options.explains, progress: progress)

        var trees: [(digest: Digest, listing: [UInt8])] = []
        var collisions: [String] = []
        scan.summarize { folder, listing in
            if let summary = folder.summary { trees.append((summary.digest, listing)) }
            collisions += folder.collisions
        }
        try session.addTrees(trees)
        let outcome = try await session.close(workers.compactMap(\.writer))
        let content = scan.content
        // What lies in the workspace can change at any time, so nothing is noted as complete for good.
        let complete = options.isInPlace ? [] : outcome.manifests + completeTrees(of: scan, content)
        try index.record(
            packs: outcome.packs, complete: complete, folders: scan.updates, inPlace: outcome.inPlace)
        noteUse(of: content, place: root.recordPath)
        noteWhole([content])
        return AddReport(
            root: content, logicalByteCount: content.byteCount, newByteCount: outcome.newByteCount,
            storedByteCount: outcome.packs.reduce(0) { $0 + $1.byteCount }, hashedFileCount: unknown.count,
            newObjectCount: outcome.newObjectCount, packCount: outcome.packs.count,
            inPlaceByteCount: outcome.inPlace?.files.reduce(0) { $0 + $1.chunks.reduce(0) { $0 + Int64($1.length) } }
                ?? 0,
            files: options.explains ? files : nil, collisions: collisions)
    }

    /// Stores files whose digests are not known, and notes the digests.
    ///
    /// - Returns: what became of each file, if `explains`.
    private func addFiles(
        _ places: [WorkspaceScan.Place], of scan: WorkspaceScan, workers: [AddWorker], explains: Bool,
        progress: ProgressCounter
    ) async throws -> [AddedFile] {
        guard let session = workers.first?.session else { return [] }
        let (small, large) = scan.batches(places)
        let queue = WorkQueue(small)
        let hashed = try await mapConcurrently(workers, width: workers.count) { worker in
            var files: [HashedFile] = []
            while let batch = queue.next() {
                try Task.checkCancellation()
                let added = try worker.add(batch, of: scan)
                progress.add(bytes: added.reduce(0) { $0 + $1.status.size }, files: added.count)
                files += added
            }
            return files
        }
        for file in hashed.joined() { scan.note(file) }
        var explained = explains ? hashed.joined().map { AddedFile($0, path: scan.path($0.place)) } : []
        guard !large.isEmpty else { return explained }
        let adder = LargeFileAdder(
            session: session, scan: scan, progress: progress, worker: workers[0],
            compressors: CompressorTeam(jobs: workers.count))
        for place in large {
            let file = try adder.add(place)
            scan.note(file)
            if explains { explained.append(AddedFile(file, path: scan.path(file.place))) }
        }
        return explained.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }

    /// Marks files as unknown whose digest is remembered but whose content is not here.
    private func forgetAbsent(in scan: WorkspaceScan, inPacksAlone: Bool) throws {
        let recorded = scan.folders.map { $0.recorded?.digest }
        let digests = recorded.compactMap(\.self)
        let complete = try index.isComplete(digests.map { ObjectKey(scan.isFile ? .manifest : .tree, $0) })
        let whole = Set(zip(digests, complete).filter(\.1).map(\.0))
        for (folder, digest) in zip(scan.folders, recorded) {
            // What a complete tree named is here, and only what it named is known in the folder.
            if let digest, whole.contains(digest) { continue }
            folder.needsSaving = true
            let places = folder.entries.indices.filter {
                folder.entries[$0].isKnown && folder.entries[$0].kind != .tree && folder.entries[$0].byteCount > 0
            }
            let isHere = try holds(
                places.map { (folder.entries[$0].digest, folder.entries[$0].byteCount) }, inPacksAlone: inPacksAlone)
            for (place, isHere) in zip(places, isHere) where !isHere { folder.entries[place].isKnown = false }
        }
    }

    private func completeTrees(of scan: WorkspaceScan, _ content: ContentRoot) -> [ObjectKey] {
        if scan.isFile { return [ObjectKey(.manifest, content.digest)] }
        return scan.folders.filter(\.needsSaving).compactMap(\.summary).map { ObjectKey(.tree, $0.digest) }
    }

    /// Stores `bytes` as a file.
    package func add(bytes: [UInt8]) async throws -> ContentRoot {
        let lease = try await lease()
        defer { withExtendedLifetime(lease) {} }
        let session = try AddSession(index: index, packs: packs)
        let worker = AddWorker(session: session)
        guard bytes.count <= Int(StoreLimits.largeFile) else {
            throw MLOpsError(
                .failed, "\(Format.bytes(Int64(bytes.count))) are too many to be stored from memory",
                hint: "write them to a file and add that")
        }
        let digest = try worker.add(bytes)
        let outcome = try await session.close([worker.writer].compactMap(\.self))
        try index.record(packs: outcome.packs, complete: outcome.manifests, folders: [])
        let content = ContentRoot(digest: digest, kind: .file, byteCount: Int64(bytes.count), fileCount: 1)
        noteUse(of: content, place: "bytes")
        noteWhole([content])
        return content
    }

    /// What the file or folder at `path` is, storing nothing; files that have not changed are not read.
    package func identify(
        path: String, jobs: Int = defaultJobs, progress: ProgressHandler? = nil, youngFiles: YoungFiles = .wait
    ) async throws -> ContentRoot {
        try await identified(path, jobs: jobs, progress: progress, youngFiles: youngFiles).content
    }

    /// The files below the folder at `path` as they are now; nil if it is a single file. Files that have not changed are not read.
    package func currentListing(of path: String) async throws -> [TreeFile]? {
        let scan = try await identified(path)
        if scan.isFile { return nil }
        return scan.folders.flatMap { folder in
            folder.entries.indices.compactMap { index in
                let entry = folder.entries[index]
                guard entry.kind != .tree else { return nil }
                return TreeFile(
                    path: folder.path(of: index), kind: entry.kind, digest: entry.digest, byteCount: entry.byteCount)
            }
        }
    }

    /// The scan of `path` with all digests known, and saved in the stat cache.
    func identified(
        _ path: String, jobs: Int = defaultJobs, progress: ProgressHandler? = nil, keepsSpecial: Bool = false,
        youngFiles: YoungFiles = .wait
    ) async throws -> WorkspaceScan {
        let scan = try await WorkspaceScan.make(
            of: try workspaceRoot(path), index: index, jobs: max(1, jobs), keepsSpecial: keepsSpecial)
        let unknown = scan.unknown
        let total = unknown.reduce(0) { $0 + scan.entry($1).byteCount }
        let counter = ProgressCounter(progress, totalBytes: total, totalFiles: unknown.count)
        try await scan.hashUnknown(jobs: max(1, jobs), progress: counter, youngFiles: youngFiles)
        scan.summarize()
        let updates = scan.updates
        if !updates.isEmpty { try? index.record(packs: [], complete: [], folders: updates) }
        return scan
    }
}

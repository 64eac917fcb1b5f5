internal import Basics
internal import Glibc

extension ContentStore {
    /// Stores files that lie elsewhere as one file or one tree, without a copy in between.
    ///
    /// Every file is compared with its checksum while it is read; one that differs stops the addition, and nothing names
    /// what was stored of it.
    ///
    /// - Parameters:
    ///   - files: of a tree, in any order; for a file exactly one, with an empty path.
    ///   - kind: whether a single file or a folder is meant.
    /// - Throws: kind `.damaged` for bytes that are not the recorded ones, `.usage` for paths that cannot lie in a tree.
    package func add(
        foreign files: [ForeignFile], as kind: ContentRoot.Kind, options: AddOptions = AddOptions()
    ) async throws -> AddReport {
        precondition(kind == .tree || files.count == 1, "a file has one source, not \(files.count)")
        let lease = try await lease()
        defer { withExtendedLifetime(lease) {} }
        let session = try AddSession(index: index, packs: packs)
        let sizes = try files.map { file in try file.open().status().size }
        let total = sizes.reduce(0, +)
        let progress = ProgressCounter(options.progress, totalBytes: total, totalFiles: files.count)
        let jobs = max(1, options.jobs)
        let workers = (0..<(total < StoreLimits.batch ? 1 : jobs)).map { _ in AddWorker(session: session) }
        let small = files.indices.filter { sizes[$0] < StoreLimits.largeFile }
        let queue = WorkQueue(
            stride(from: 0, to: small.count, by: 64).map { Array(small[$0..<min($0 + 64, small.count)]) })
        let stored = try await mapConcurrently(workers, width: workers.count) { worker in
            var stored: [(Int, FileContent)] = []
            while let batch = queue.next() {
                try Task.checkCancellation()
                for place in batch { stored.append((place, try worker.add(files[place]))) }
                progress.add(bytes: batch.reduce(0) { $0 + sizes[$1] }, files: batch.count)
            }
            return stored
        }
        var contents = Dictionary(stored.joined(), uniquingKeysWith: { first, _ in first })
        for place in files.indices where sizes[place] >= StoreLimits.largeFile {
            contents[place] = try await addLarge(
                files[place], session: session, worker: workers[0], jobs: jobs, progress: progress)
        }
        let entries = files.indices.compactMap { place in contents[place].map { (files[place], $0) } }
        let root: ContentRoot
        if kind == .tree {
            root = try TreeAssembly(entries).store(in: session)
        } else {
            let (_, content) = entries[0]
            root = ContentRoot(digest: content.digest, kind: .file, byteCount: content.byteCount, fileCount: 1)
        }
        let outcome = try await session.close(workers.compactMap(\.writer))
        try index.record(packs: outcome.packs, complete: outcome.manifests, folders: [])
        noteUse(of: root, place: "import")
        noteWhole([root])
        return AddReport(
            root: root, logicalByteCount: root.byteCount, newByteCount: outcome.newByteCount,
            storedByteCount: outcome.packs.reduce(0) { $0 + $1.byteCount }, hashedFileCount: files.count,
            newObjectCount: outcome.newObjectCount, packCount: outcome.packs.count)
    }

    /// Stores a file piece by piece, while another task compares it with its checksum.
    private func addLarge(
        _ file: ForeignFile, session: AddSession, worker: AddWorker, jobs: Int, progress: ProgressCounter
    ) async throws -> FileContent {
        let folder = FileSystem.parent(of: file.source)
        let root = WorkspaceRoot(
            displayPath: file.source, recordPath: "", directory: try OpenFile(reading: folder),
            fileName: FileSystem.name(of: file.source))
        let scan = try await WorkspaceScan.make(of: root, index: index, jobs: 1)
        let place = WorkspaceScan.Place(folder: 0, entry: 0)
        let open = try file.open()
        let before = try open.status()
        async let checked: Void = ForeignCheck(file: file).check(open)
        let adder = LargeFileAdder(
            session: session, scan: scan, progress: progress, worker: worker, compressors: CompressorTeam(jobs: jobs))
        let hashed = try adder.add(place)
        try await checked
        guard try open.status() == before, hashed.status == before else { throw StableRead.changed(file.source) }
        if case .sha256(let expected) = file.checksum, expected != hashed.digest {
            throw file.mismatch(hashed.digest.description)
        }
        return FileContent(digest: hashed.digest, byteCount: hashed.status.size)
    }
}

/// The identity of a stored file.
struct FileContent: Sendable {
    var digest: Digest
    var byteCount: Int64
}

extension AddWorker {
    /// Reads, checks and stores a file that fits into memory.
    fileprivate func add(_ file: ForeignFile) throws -> FileContent {
        let open = try file.open()
        let status = try StableRead.begin(open)
        guard status.size < StoreLimits.largeFile else { throw StableRead.changed(file.source) }
        var count = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: Int(status.size) + 1) { buffer, initialized in
            count = try open.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
            initialized = count
        }
        try StableRead.end(open, as: status, readCount: Int64(count))
        try bytes.withUnsafeBytes { try ForeignCheck(file: file).check($0) }
        return FileContent(digest: try add(bytes), byteCount: status.size)
    }
}

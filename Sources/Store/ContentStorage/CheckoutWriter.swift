internal import Basics
internal import Dispatch
internal import Synchronization

/// Writes the files of a plan: small ones in the order in which their chunks lie in the packs, large ones piece by piece.
struct CheckoutWriter: Sendable {
    /// Two chunks closer than this are read together with what lies between them.
    private static let gap: Int64 = 64 << 10
    /// The most bytes read at a time.
    private static let window: Int64 = 4 << 20

    let store: ContentStore
    let folder: CheckoutFolder
    let jobs: Int
    let progress: ProgressCounter
    let written = WrittenFiles()

    /// A file of one chunk.
    private struct Single: Sendable {
        var write: CheckoutPlan.Write
        var location: ObjectLocation
    }

    private enum Work: Sendable {
        case singles([Single])
        case empty([CheckoutPlan.Write])
        case assembled(CheckoutPlan.Write)
    }

    func run(_ writes: [CheckoutPlan.Write]) async throws {
        let filled = writes.filter { $0.digest != emptyContent }
        let locations = try store.index.locate(filled.map { ObjectKey(.chunk, $0.digest) })
        var singles: [Single] = []
        var work: [Work] = []
        for (write, location) in zip(filled, locations) {
            if let location {
                singles.append(Single(write: write, location: location))
            } else {
                work.append(.assembled(write))
            }
        }
        singles.sort { ($0.location.pack, $0.location.offset) < ($1.location.pack, $1.location.offset) }
        work += CheckoutWriter.batches(singles).map { .singles($0) }
        let empty = writes.filter { $0.digest == emptyContent }
        if !empty.isEmpty { work.append(.empty(empty)) }
        let queue = WorkQueue(work)
        _ = try await mapConcurrently(Array(0..<jobs), width: jobs) { _ in
            let placer = FilePlacer(root: folder)
            while let item = queue.next() {
                try Task.checkCancellation()
                switch item {
                case .singles(let batch): try write(batch, placer)
                case .empty(let writes):
                    for write in writes { try finish(write, placer.place(write) { _ in }) }
                case .assembled(let write): try await assemble(write, placer)
                }
            }
        }
    }

    /// Groups that one read fetches.
    private static func batches(_ singles: [Single]) -> [[Single]] {
        var batches: [[Single]] = []
        var batch: [Single] = []
        var (start, end) = (Int64(0), Int64(0))
        for single in singles {
            let place = single.location
            if let last = batch.last,
                last.location.pack != place.pack || place.offset > end + gap
                    || place.offset + Int64(place.storedLength) > start + window || batch.count >= 1024
            {
                batches.append(batch)
                batch = []
            }
            if batch.isEmpty { (start, end) = (place.offset, place.offset) }
            end = max(end, place.offset + Int64(place.storedLength))
            batch.append(single)
        }
        if !batch.isEmpty { batches.append(batch) }
        return batches
    }

    private func write(_ batch: [Single], _ placer: FilePlacer) throws {
        guard let first = batch.first else { return }
        let start = first.location.offset
        let end = batch.map { $0.location.offset + Int64($0.location.storedLength) }.max() ?? start
        // A read that fails is left to the single reads, which know how to mend a wrong index.
        let bytes = try? store.openPack(first.location.pack).read(count: Int(end - start), at: start)
        for single in batch {
            let key = ObjectKey(.chunk, single.write.digest)
            let offset = Int(single.location.offset - start)
            let done = try bytes?.withUnsafeBytes { raw in
                let stored = UnsafeRawBufferPointer(rebasing: raw[offset..<offset + single.location.storedLength])
                return try write(single.write, key, single.location, stored, placer)
            }
            if done != true { try write(single.write, plain: try store.plain(key), placer) }
        }
    }

    /// Writes a file from the bytes in the pack; false if they are not what they should be.
    private func write(
        _ write: CheckoutPlan.Write, _ key: ObjectKey, _ location: ObjectLocation, _ stored: UnsafeRawBufferPointer,
        _ placer: FilePlacer
    ) throws -> Bool {
        switch location.codec {
        case .raw:
            guard Digest.of(raw: stored) == key.id, write.kind != .symlink, Int64(stored.count) == write.byteCount
            else {
                return false
            }
            try finish(write, placer.place(write) { try $0.write(stored) })
        case .zstd:
            guard location.plainLength <= PackFrame.limit(of: .chunk),
                let plain = decompress(stored, plainLength: location.plainLength), Digest.of(plain) == key.id
            else { return false }
            try self.write(write, plain: plain, placer)
        }
        return true
    }

    private func write(_ write: CheckoutPlan.Write, plain: [UInt8], _ placer: FilePlacer) throws {
        guard Int64(plain.count) == write.byteCount else {
            throw PackFrame.damaged(
                ObjectKey(.chunk, write.digest), "has another size than the tree that names it says")
        }
        if write.kind == .symlink {
            return finish(write, try placer.placeLink(write, target: plain))
        }
        finish(write, try placer.place(write) { try $0.write(plain) })
    }

    private func finish(_ write: CheckoutPlan.Write, _ status: FileStatus?) {
        if let status { written.note(status, write.digest) }
        progress.add(bytes: write.byteCount, files: 1)
    }

    // MARK: Files of several chunks

    /// Writes the large files of which the store lacks much while their chunks arrive; their paths.
    func receive(_ writes: [CheckoutPlan.Write], from source: (any ChunkSource)?) async throws -> Set<String> {
        guard let source else { return [] }
        var paths: Set<String> = []
        for write in writes {
            let chunks = try store.chunks(of: write)
            let missing = try store.streamed(write, chunks)
            guard !missing.isEmpty, missing.allSatisfy({ source.holds($0.key) }) else { continue }
            let incoming = IncomingChunks(missing, from: source, store: store)
            try await withTaskCancellationHandler {
                // It waits for the network, which no task may do.
                try await onThread { try assemble(write, chunks, FilePlacer(root: folder), incoming) }
            } onCancel: {
                incoming.stream.stop()
            }
            paths.insert(write.path)
        }
        return paths
    }

    private func onThread(_ work: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue(label: "mlops.receive").async { continuation.resume(with: Result(catching: work)) }
        }
    }

    /// Puts a file together from its chunks. The digest of the whole is what proves it, so the chunks need no proof of
    /// their own, unless the whole is wrong and the guilty one must be named.
    private func assemble(_ write: CheckoutPlan.Write, _ placer: FilePlacer) async throws {
        let chunks = try store.chunks(ofFile: write.digest, byteCount: write.byteCount)
        if write.kind == .symlink { return try self.write(write, plain: try store.content(write.digest), placer) }
        // The file is filled by tasks of its own, so it is made first and named after.
        try assemble(write, chunks, placer, nil)
    }

    private func assemble(
        _ write: CheckoutPlan.Write, _ chunks: [FileManifest.Entry], _ placer: FilePlacer, _ incoming: IncomingChunks?
    ) throws {
        let assembly = FileAssembly(
            store: store, chunks: chunks, digest: write.digest, progress: progress, incoming: incoming)
        let status = try placer.place(write) { try assembly.fill($0) }
        written.note(status, write.digest)
        progress.add(bytes: 0, files: 1)
    }
}

/// The files that a checkout has written, as they looked then.
final class WrittenFiles: Sendable {
    private let files = Mutex<[UInt64: (status: FileStatus, digest: Digest)]>([:])

    func note(_ status: FileStatus, _ digest: Digest) {
        files.withLock { $0[status.inode] = (status, digest) }
    }

    var count: Int { files.withLock { $0.count } }

    var byteCount: Int64 { files.withLock { $0.values.reduce(0) { $0 + $1.status.size } } }

    /// The digest of what a scan found, if a checkout has just written it and nobody has since.
    func digest(of entry: ScannedEntry) -> Digest? {
        guard let (status, digest) = files.withLock({ $0[entry.inode] }), status.size == entry.byteCount,
            status.modificationNanoseconds == entry.modificationNanoseconds,
            status.changeNanoseconds == entry.changeNanoseconds
        else { return nil }
        return digest
    }
}

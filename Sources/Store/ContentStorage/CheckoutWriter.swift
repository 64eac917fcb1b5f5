internal import Basics
internal import Synchronization

/// Writes the files of a plan: small ones in the order in which their chunks lie in the packs, large ones piece by piece.
struct CheckoutWriter: Sendable {
    /// Two chunks closer than this are read together with what lies between them.
    private static let gap: Int64 = 64 << 10
    /// The most bytes read at a time: they are hashed and written while they are in the processor's cache.
    private static let window: Int64 = 1 << 20

    let store: ContentStore
    let folder: CheckoutFolder
    let jobs: Int
    let progress: ProgressCounter
    /// The absolute path of the folder that the plan's paths lie below, if what comes from a `ChunkSource` is to stay where it is
    /// written.
    var inPlaceBase: String?
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

    /// - Parameter source: has what the store lacks of large files.
    func run(_ writes: [CheckoutPlan.Write], from source: (any ChunkSource)?) async throws {
        let received = try await receive(writes, from: source)
        try await run(received.isEmpty ? writes : writes.filter { !received.contains($0.path) })
    }

    private func run(_ writes: [CheckoutPlan.Write]) async throws {
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
        _ = try await mapConcurrently(Array(0..<jobs), width: jobs) { number in
            let placer = FilePlacer(root: folder)
            let memory = ReadMemory()
            // Two that make files in the same folder wait for each other.
            while let item = queue.next(isFromEnd: number % 2 == 1) {
                try Task.checkCancellation()
                switch item {
                case .singles(let batch): try write(batch, placer, memory)
                case .empty(let writes):
                    var placed = PlacedFiles(count: writes.count)
                    defer { finish(placed) }
                    for write in writes { placed.note(write, try placer.place(write) { _ in }) }
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

    private func write(_ batch: [Single], _ placer: FilePlacer, _ memory: ReadMemory) throws {
        guard let first = batch.first else { return }
        let start = first.location.offset
        let end = batch.map { $0.location.offset + Int64($0.location.storedLength) }.max() ?? start
        // A read that fails is left to the single reads, which know how to mend a wrong index.
        let bytes = try? memory.read(count: Int(end - start), at: start, of: store.openPack(first.location.pack))
        let stored = bytes.map { bytes in
            batch.map { single in
                let offset = Int(single.location.offset - start)
                return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + single.location.storedLength])
            }
        }
        let isRaw = batch.map { $0.location.codec == .raw }
        // Many are hashed in little more than the time of one.
        var digests = Digest.ofEach(zip(stored ?? [], isRaw).filter(\.1).map(\.0)).makeIterator()
        var placed = PlacedFiles(count: batch.count)
        defer { finish(placed) }
        for (index, single) in batch.enumerated() {
            let isDone =
                switch (stored?[index], isRaw[index]) {
                case (let stored?, true): try write(single.write, digests.next(), stored, placer, &placed)
                case (let stored?, false): try write(single, compressed: stored, placer, &placed)
                case (nil, _): false
                }
            if !isDone {
                let key = ObjectKey(.chunk, single.write.digest)
                try write(single.write, plain: try store.plain(key), placer, &placed)
            }
        }
    }

    /// Writes a file from the bytes in the pack, whose digest is `digest`; false if they are not what they should be.
    private func write(
        _ write: CheckoutPlan.Write, _ digest: Digest?, _ stored: UnsafeRawBufferPointer, _ placer: FilePlacer,
        _ placed: inout PlacedFiles
    ) throws -> Bool {
        guard digest == write.digest, write.kind != .symlink, Int64(stored.count) == write.byteCount else {
            return false
        }
        placed.note(write, try placer.place(write) { try $0.write(stored) })
        return true
    }

    /// Does the same from the compressed bytes in the pack.
    private func write(
        _ single: Single, compressed stored: UnsafeRawBufferPointer, _ placer: FilePlacer, _ placed: inout PlacedFiles
    ) throws -> Bool {
        let length = single.location.plainLength
        guard length <= PackFrame.limit(of: .chunk), let plain = decompress(stored, plainLength: length),
            Digest.of(plain) == single.write.digest
        else { return false }
        try write(single.write, plain: plain, placer, &placed)
        return true
    }

    private func write(
        _ write: CheckoutPlan.Write, plain: [UInt8], _ placer: FilePlacer, _ placed: inout PlacedFiles
    ) throws {
        guard Int64(plain.count) == write.byteCount else {
            throw PackFrame.damaged(
                ObjectKey(.chunk, write.digest), "has another size than the tree that names it says")
        }
        if write.kind == .symlink {
            placed.note(write, try placer.placeLink(write, target: plain))
        } else {
            placed.note(write, try placer.place(write) { try $0.write(plain) })
        }
    }

    private func finish(_ placed: PlacedFiles) {
        written.note(placed)
        progress.add(bytes: placed.byteCount, files: placed.count)
    }

    // MARK: Files of several chunks

    /// Writes the large files of which the store lacks much while their chunks arrive; their paths.
    private func receive(_ writes: [CheckoutPlan.Write], from source: (any ChunkSource)?) async throws -> Set<String> {
        var paths: Set<String> = []
        for write in source != nil || inPlaceBase != nil ? writes : [] {
            let chunks = try store.chunks(of: write)
            if let inPlaceBase, !chunks.isEmpty,
                try await receiveInPlace(write, below: inPlaceBase, chunks, from: source)
            {
                paths.insert(write.path)
                continue
            }
            guard let source else { continue }
            let missing = try store.streamed(write, chunks, inPlaceBase != nil)
            guard !missing.isEmpty, missing.allSatisfy({ source.holds($0.key) }) else { continue }
            let incoming = IncomingChunks(missing, of: chunks, from: source, store: store)
            try await withTaskCancellationHandler {
                try await BlockingThreads.shared.run {
                    try assemble(write, chunks, FilePlacer(root: folder), incoming)
                }
            } onCancel: {
                incoming.stream.stop()
            }
            paths.insert(write.path)
        }
        return paths
    }

    /// Puts a file together from its chunks. The digest of the whole is what proves it, so the chunks need no proof of
    /// their own, unless the whole is wrong and the guilty one must be named.
    private func assemble(_ write: CheckoutPlan.Write, _ placer: FilePlacer) async throws {
        let chunks = try store.chunks(ofFile: write.digest, byteCount: write.byteCount)
        if write.kind == .symlink {
            var placed = PlacedFiles(count: 1)
            defer { finish(placed) }
            return try self.write(write, plain: try store.content(write.digest), placer, &placed)
        }
        // The file is filled by tasks of its own, so it is made first and named after.
        try assemble(write, chunks, placer, nil)
    }

    private func assemble(
        _ write: CheckoutPlan.Write, _ chunks: [FileManifest.Entry], _ placer: FilePlacer, _ incoming: IncomingChunks?
    ) throws {
        let assembly = FileAssembly(
            store: store, chunks: chunks, digest: write.digest, midstates: try store.midstates(ofFile: write.digest),
            progress: progress, incoming: incoming)
        let status = try placer.place(write) { try assembly.fill($0) }
        noteCounted(write, status)
    }

    /// Notes a file whose bytes were counted as they came.
    func noteCounted(_ write: CheckoutPlan.Write, _ status: FileStatus) {
        var placed = PlacedFiles(count: 1)
        placed.note(write, status)
        written.note(placed)
        progress.add(bytes: 0, files: 1)
    }
}

/// Memory for what is read from packs, used again and again by one task.
private final class ReadMemory {
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 64)

    deinit { memory.deallocate() }

    /// The bytes at `offset`, until the next call.
    ///
    /// - Throws: kind `.damaged` if the file ends before.
    func read(count: Int, at offset: Int64, of file: OpenFile) throws -> UnsafeRawBufferPointer {
        if memory.count < count {
            memory.deallocate()
            memory = .allocate(byteCount: count, alignment: 64)
        }
        let target = UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
        guard try file.read(into: target, at: offset) == count else {
            throw MLOpsError(.damaged, "`\(file.path)` ends before byte \(offset + Int64(count))")
        }
        return UnsafeRawBufferPointer(target)
    }
}

/// What one task has written and not yet told of.
struct PlacedFiles {
    fileprivate var files: [(status: FileStatus, digest: Digest)] = []
    private(set) var byteCount: Int64 = 0
    private(set) var count = 0

    /// - Parameter count: of files that are expected.
    init(count: Int) { files.reserveCapacity(count) }

    /// - Parameter status: nil if the file is gone already.
    mutating func note(_ write: CheckoutPlan.Write, _ status: FileStatus?) {
        if let status { files.append((status, write.digest)) }
        byteCount += write.byteCount
        count += 1
    }
}

/// The files that a checkout has written, as they looked then.
final class WrittenFiles: Sendable {
    private let files = Mutex<[UInt64: (status: FileStatus, digest: Digest)]>([:])

    func note(_ placed: PlacedFiles) {
        files.withLock { files in for file in placed.files { files[file.status.inode] = file } }
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

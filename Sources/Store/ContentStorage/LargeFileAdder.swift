internal import Basics
internal import Dispatch
internal import Synchronization

/// Puts one large file into packs, block after block, in three steps that go on side by side: reading and cutting; hashing
/// the file and its chunks at once, while both are in the cache; compressing and writing.
struct LargeFileAdder {
    let session: AddSession
    let scan: WorkspaceScan
    let progress: ProgressCounter
    let worker: AddWorker
    let compressors: CompressorTeam

    func add(_ place: WorkspaceScan.Place) throws -> HashedFile {
        let start = StableRead.now()
        let file = try scan.open(place)
        let status = try StableRead.begin(file)
        let snapshot = worker.snapshot(of: file, byteCount: status.size)
        let pipeline = Pipeline(adder: self, source: scan.recordPath(place), status: status, snapshot: snapshot)
        try pipeline.run(snapshot ?? file)
        let outcome = try pipeline.finish()
        try StableRead.end(file, as: status, readCount: outcome.byteCount)
        try session.addManifest(of: outcome.digest, chunks: outcome.chunks, midstates: outcome.midstates)
        progress.add(bytes: 0, files: 1)
        return HashedFile(
            place: place, digest: outcome.digest, status: status,
            isRacy: StableRead.isRacy(status, hashedFrom: start), tally: outcome.tally)
    }
}

/// Memory for one block of a large file: what the block before could not cut, then what was read.
// @unchecked: filled while nobody else looks at it, then only read until its chunks are written.
private final class Block: @unchecked Sendable {
    static let capacity = StoreLimits.block + ChunkSizes.standard.maximum
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4096)
    /// The bytes that are filled.
    var count = 0
    /// Where the bytes start that the block before did not have.
    var freshStart = 0
    /// The place in the file of the first byte.
    var offset: Int64 = 0
    /// Of the chunks that start at the first byte and follow each other.
    var lengths: [UInt32] = []
    var digests: [Digest] = []

    deinit { memory.deallocate() }

    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[range]) }

    /// Finds the chunks whose ends are known; the rest is for the next block.
    func cut(isFinal: Bool) -> Range<Int> {
        lengths.removeAll(keepingCapacity: true)
        var start = 0
        while start < count, let length = Chunker.firstChunk(of: slice(start..<count), isFinal: isFinal) {
            lengths.append(UInt32(length))
            start += length
        }
        return start..<count
    }
}

/// The steps that one file goes through.
// @unchecked: what the queues use is used by one queue alone, or after all are done.
private final class Pipeline: @unchecked Sendable {
    private static let blockCount = 6

    private let adder: LargeFileAdder
    private let source: String
    private let status: FileStatus
    private let snapshot: OpenFile?
    private let blocks = (0..<blockCount).map { _ in Block() }
    private let free = DispatchSemaphore(value: blockCount)
    private let hashing = DispatchQueue(label: "mlops.add.hash")
    private let writing = DispatchQueue(label: "mlops.add.write")
    private let failure = Mutex<(any Error)?>(nil)
    private var byteCount: Int64 = 0
    /// The hashing queue's.
    private var hasher = DigestHasher()
    private var midstates: [Digest] = []
    private var hashedCount: Int64 = 0
    /// The writing queue's.
    private var chunks: [FileManifest.Entry] = []
    private var tally = FileTally()

    /// - Parameter snapshot: if there is one, it is what is read, and packs may share its blocks.
    init(adder: LargeFileAdder, source: String, status: FileStatus, snapshot: OpenFile?) {
        self.adder = adder
        self.source = source
        self.status = status
        self.snapshot = snapshot
    }

    deinit {
        // Blocks are freed with this object, and a semaphore must end as it began.
        for _ in blocks { free.signal() }
    }

    /// Reads the file to its end, or to the first failure.
    func run(_ file: OpenFile) throws {
        defer {
            hashing.sync {}
            writing.sync {}
        }
        var turn = 0
        var carried: UnsafeRawBufferPointer?
        while failure.withLock({ $0 }) == nil {
            try Task.checkCancellation()
            free.wait()
            let block = blocks[turn % blocks.count]
            turn += 1
            let isFinal: Bool
            do {
                isFinal = try fill(block, after: carried, from: file)
            } catch {
                free.signal()
                throw error
            }
            let rest = block.cut(isFinal: isFinal)
            carried = block.slice(rest)
            hashing.async { [self] in
                block.digests = hash(block)
                writing.async { [self] in
                    defer { free.signal() }
                    write(block)
                }
            }
            if isFinal { return }
        }
    }

    /// Reads the next block behind what the block before could not cut; whether it is the last.
    private func fill(_ block: Block, after carried: UnsafeRawBufferPointer?, from file: OpenFile) throws -> Bool {
        block.freshStart = carried?.count ?? 0
        block.offset = byteCount - Int64(block.freshStart)
        if let carried { block.memory.copyBytes(from: carried) }
        let room = UnsafeMutableRawBufferPointer(
            rebasing: block.memory[block.freshStart..<block.freshStart + StoreLimits.block])
        let count = try file.read(into: room, at: byteCount)
        block.count = block.freshStart + count
        byteCount += Int64(count)
        guard byteCount <= status.size else { throw StableRead.changed(file.path) }
        return count < StoreLimits.block
    }

    /// Hashes the bytes of the file that `block` brings together with its chunks, whose digests it gives.
    private func hash(_ block: Block) -> [Digest] {
        var digests: [Digest] = []
        digests.reserveCapacity(block.lengths.count)
        var (start, pieceStart) = (block.freshStart, 0)
        repeat {
            let end = min(block.count, start + FileProof.stretch)
            // As many chunks as there are bytes beside them, and all that are left beside the last ones.
            var pieceEnd = pieceStart
            var lengths: [UInt32] = []
            for length in block.lengths[digests.count...] {
                guard end == block.count || pieceEnd - pieceStart < end - start else { break }
                lengths.append(length)
                pieceEnd += Int(length)
            }
            digests += hasher.update(
                block.slice(start..<end), pieces: block.slice(pieceStart..<pieceEnd), lengths: lengths)
            hashedCount += Int64(end - start)
            if end > start, hashedCount % Int64(FileProof.stretch) == 0, let midstate = hasher.midstate {
                midstates.append(midstate)
            }
            (start, pieceStart) = (end, pieceEnd)
        } while start < block.count
        return digests
    }

    private func write(_ block: Block) {
        guard failure.withLock({ $0 }) == nil else { return }
        do {
            let pieces = PieceRun(block.slice(0..<block.count), lengths: block.lengths, digests: block.digests)
            let stored = try adder.worker.store(
                pieces, compressors: adder.compressors,
                at: FilePlace(path: source, offset: block.offset, status: status), offset: block.offset,
                sharing: snapshot)
            for (digest, length) in zip(block.digests, block.lengths) {
                chunks.append(FileManifest.Entry(chunk: digest, byteCount: Int64(length)))
            }
            for (length, stored) in zip(block.lengths, stored) { tally.add(Int64(length), stored: stored) }
            adder.progress.add(bytes: Int64(block.count - block.freshStart), files: 0)
        } catch {
            failure.withLock { $0 = $0 ?? error }
        }
    }

    /// What the file is, once `run` is done.
    func finish() throws -> (
        digest: Digest, chunks: [FileManifest.Entry], midstates: [Digest], byteCount: Int64, tally: FileTally
    ) {
        if let failure = failure.withLock({ $0 }) { throw failure }
        // There is none at the file's end.
        let count = FileProof.midstateCount(ofFile: byteCount)
        return (
            hasher.finalize(), chunks, midstates.count < count ? [] : Array(midstates.prefix(count)), byteCount, tally
        )
    }
}

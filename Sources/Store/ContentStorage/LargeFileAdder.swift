internal import Basics

/// Puts one large file into packs, block after block, on all processors: while one block is hashed as a part of the file,
/// its chunks are hashed for themselves, and the chunks of the block before are written.
struct LargeFileAdder {
    let session: AddSession
    let scan: WorkspaceScan
    let jobs: Int
    let progress: ProgressCounter
    let worker: AddWorker

    /// Memory for one block, and the rest of the block before in front of it.
    // @unchecked: filled while nobody else looks at it, then only read until its chunks are written.
    private final class Block: @unchecked Sendable {
        static let capacity = StoreLimits.block + ChunkSizes.standard.maximum
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4096)
        /// The bytes that are filled.
        var count = 0
        /// Where the bytes start that the block before did not have.
        var freshStart = 0

        deinit { memory.deallocate() }

        func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[range]) }
    }

    /// A chunk ready to be written.
    private struct Frame: Sendable {
        var key: ObjectKey
        var range: Range<Int>
        /// nil: stored as it is in the block.
        var compressed: [UInt8]?
    }

    func add(_ place: WorkspaceScan.Place) async throws -> HashedFile {
        let start = StableRead.now()
        let file = try scan.open(place)
        let status = try StableRead.begin(file)
        var hasher = DigestHasher()
        var chunks: [FileManifest.Entry] = []
        var offset: Int64 = 0
        // One is filled and hashed while another is written, and the third is filled next.
        let blocks = [Block(), Block(), Block()]
        var turn = 0
        var carried: (block: Block, range: Range<Int>)?
        var writing: Task<Void, any Error>?
        do {
            while true {
                try Task.checkCancellation()
                let block = blocks[turn % blocks.count]
                turn += 1
                let count = try fill(block, after: carried, from: file, at: offset)
                offset += Int64(count)
                guard offset <= status.size else { throw StableRead.changed(file.path) }
                let isFinal = count < StoreLimits.block
                async let hashed = LargeFileAdder.update(hasher, with: block)
                let ranges = cut(block, isFinal: isFinal)
                let keys = try await keys(of: ranges, in: block)
                hasher = await hashed
                chunks += zip(keys, ranges).map { FileManifest.Entry(chunk: $0.id, byteCount: Int64($1.count)) }
                let frames = try await frames(keys, ranges, in: block)
                try await writing?.value
                writing = write(frames, of: block)
                progress.add(bytes: Int64(count), files: 0)
                if isFinal { break }
                carried = (block, (ranges.last?.upperBound ?? 0)..<block.count)
            }
            try await writing?.value
        } catch {
            _ = await writing?.result
            throw error
        }
        try StableRead.end(file, as: status, readCount: offset)
        let digest = hasher.finalize()
        try session.addManifest(of: digest, chunks: chunks)
        progress.add(bytes: 0, files: 1)
        return HashedFile(
            place: place, digest: digest, status: status, isRacy: StableRead.isRacy(status, hashedFrom: start))
    }

    /// Reads the next block behind what the block before could not cut; the count of bytes read.
    private func fill(
        _ block: Block, after carried: (block: Block, range: Range<Int>)?, from file: OpenFile, at offset: Int64
    ) throws -> Int {
        block.freshStart = carried?.range.count ?? 0
        if let carried { block.memory.copyBytes(from: carried.block.slice(carried.range)) }
        let room = UnsafeMutableRawBufferPointer(
            rebasing: block.memory[block.freshStart..<block.freshStart + StoreLimits.block])
        let count = try file.read(into: room, at: offset)
        block.count = block.freshStart + count
        return count
    }

    private static func update(_ hasher: DigestHasher, with block: Block) async -> DigestHasher {
        var hasher = hasher
        hasher.update(block.slice(block.freshStart..<block.count))
        return hasher
    }

    /// The chunks whose ends are known.
    private func cut(_ block: Block, isFinal: Bool) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = 0
        while start < block.count,
            let length = Chunker.firstChunk(of: block.slice(start..<block.count), isFinal: isFinal)
        {
            ranges.append(start..<start + length)
            start += length
        }
        return ranges
    }

    private func keys(of ranges: [Range<Int>], in block: Block) async throws -> [ObjectKey] {
        try await inSlices(ranges) { slice in
            slice.map { ObjectKey(.chunk, Digest.of(raw: block.slice($0))) }
        }
    }

    /// The chunks that the store lacks, compressed where that pays.
    private func frames(_ keys: [ObjectKey], _ ranges: [Range<Int>], in block: Block) async throws -> [Frame] {
        let isNew = try session.claim(keys)
        let wanted = zip(zip(keys, ranges), isNew).filter(\.1).map {
            Frame(key: $0.0.0, range: $0.0.1, compressed: nil)
        }
        session.count(newBytes: wanted.reduce(0) { $0 + Int64($1.range.count) }, objects: wanted.count)
        return try await inSlices(wanted) { slice in
            let compressor = Compressor()
            return slice.map {
                var frame = $0
                frame.compressed = compressor.compress(block.slice(frame.range))
                return frame
            }
        }
    }

    private func inSlices<Item: Sendable, Output: Sendable>(
        _ items: [Item], _ work: @escaping @Sendable (ArraySlice<Item>) -> [Output]
    ) async throws -> [Output] {
        let length = max(1, (items.count + jobs - 1) / jobs)
        let slices = stride(from: 0, to: items.count, by: length).map { items[$0..<min($0 + length, items.count)] }
        return try await mapConcurrently(slices, width: jobs) { work($0) }.flatMap { $0 }
    }

    private func write(_ frames: [Frame], of block: Block) -> Task<Void, any Error> {
        Task { [worker] in
            for frame in frames {
                let writer = try worker.openWriter()
                if let compressed = frame.compressed {
                    try compressed.withUnsafeBytes {
                        try writer.append(key: frame.key, codec: .zstd, plainLength: frame.range.count, stored: $0)
                    }
                } else {
                    try writer.append(
                        key: frame.key, codec: .raw, plainLength: frame.range.count, stored: block.slice(frame.range))
                }
                try worker.passOnIfFull()
            }
        }
    }
}

internal import Basics
internal import CZstd
internal import Dispatch
internal import Synchronization

/// Fills a file from its chunks: while one stretch is hashed, the next is read and written.
struct FileAssembly: Sendable {
    /// Enough for `FileProof` to hash many stretches side by side.
    private static let window = 16 << 20

    let store: ContentStore
    let chunks: [FileManifest.Entry]
    let digest: Digest
    /// Those of the file, if they are known: it is proven quicker with them.
    let midstates: [Digest]
    let progress: ProgressCounter
    /// The chunks that the store lacks.
    var incoming: IncomingChunks?
    /// What the file holds already; nil for nothing.
    var beginning: ProvenBeginning?

    /// Memory for one stretch.
    // @unchecked: filled by one thread, then only read until the hash is done with it.
    private final class Stretch: @unchecked Sendable {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: FileAssembly.window, alignment: 4096)
        var count = 0
        /// Where its chunks lie.
        var locations: [ObjectLocation?] = []

        deinit { memory.deallocate() }

        var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }
    }

    /// What comes next in the file.
    private enum Piece: Sendable {
        case loaded(Stretch)
        case received(ChunkBatch)

        var bytes: UnsafeRawBufferPointer {
            switch self {
            case .loaded(let stretch): stretch.bytes
            case .received(let batch): batch.plain.bytes
            }
        }

        /// Whether the chunk with `index` among its chunks lies, or will lie, in a pack as it will in the file, from `offset` on.
        func isSharable(_ index: Int, at offset: Int64) -> Bool {
            switch self {
            case .loaded(let stretch):
                guard let location = stretch.locations[index], location.codec == .raw else { return false }
                return (location.offset - offset) % PackFormat.pageLength == 0
            case .received(let batch): return batch.isRaw && PackFormat.aligns(runOf: batch.stored.count)
            }
        }
    }

    /// Writes the file and proves it.
    ///
    /// - Throws: kind `.damaged` naming the chunk that is broken.
    func fill(_ file: OpenFile) throws {
        let queue = DispatchQueue(label: "mlops.checkout.hash")
        let proof = Mutex(beginning?.proof ?? FileProof(midstates: midstates))
        let free = DispatchSemaphore(value: 2)
        let stretches = [Stretch(), Stretch()]
        let writer = BlockWriter(file, patience: .leavesSlowDisk)
        // What goes into the file alone cannot be shared with anything.
        let isAllKept = beginning == nil && (incoming == nil || incoming?.keeper != nil)
        var sharing = isAllKept ? BlockSharing(file, of: chunks, in: store) : nil
        defer { queue.sync {} }
        defer { incoming?.stream.stop() }
        var next = 0
        var position = beginning?.chunkCount ?? 0
        while position < chunks.count {
            free.wait()
            let piece: Piece
            let first = position
            do {
                if let incoming, incoming.isNext(position) {
                    let batch = try incoming.next(among: chunks[position...])
                    position += batch.entries.count
                    piece = .received(batch)
                } else {
                    let stretch = stretches[next]
                    position = try load(from: position, into: stretch)
                    piece = .loaded(stretch)
                    next = 1 - next
                }
            } catch {
                free.signal()
                throw error
            }
            queue.async {
                proof.withLock { $0.update(piece.bytes) }
                free.signal()
            }
            switch (piece, sharing) {
            case (_, .some): try sharing?.append(piece.bytes, first..<position) { piece.isSharable($0 - first, at: $1) }
            case (.loaded(let stretch), nil): try writer.append(stretch.bytes)
            case (.received(let batch), nil): try writer.append(lending: batch.plain)
            }
            progress.add(bytes: Int64(piece.bytes.count), files: 0)
        }
        try incoming?.keeper?.finish()
        queue.sync {}
        try writer.finish()
        try sharing?.finish()
        if proof.withLock({ $0.proves(digest) }) { return }
        // Midstates that somebody noted wrongly must not make a file unreadable that is right.
        guard try !midstates.isEmpty && Digest.of(file) == digest else { throw try culprit() }
    }

    /// Loads chunks from `position` on until the stretch is full; the position of the first that did not fit.
    private func load(from position: Int, into stretch: Stretch) throws -> Int {
        var end = position
        var total: Int64 = 0
        while end < chunks.count, total + chunks[end].byteCount <= Int64(FileAssembly.window),
            end == position || incoming?.isNext(end) != true
        {
            total += chunks[end].byteCount
            end += 1
        }
        guard end > position else {
            throw PackFrame.damaged(ObjectKey(.chunk, chunks[position].chunk), "is too large")
        }
        stretch.count = Int(total)
        let keys = chunks[position..<end].map { ObjectKey(.chunk, $0.chunk) }
        let locations = try store.index.locate(keys)
        stretch.locations = locations
        var index = 0
        var offset = 0
        while index < keys.count {
            // Chunks stored one after the other as they are come with one read.
            var last = index
            while last + 1 < keys.count, let here = locations[last], let after = locations[last + 1],
                here.codec == .raw, after.codec == .raw, here.pack == after.pack,
                after.offset == here.offset + Int64(here.storedLength)
            {
                last += 1
            }
            let length = chunks[position + index...position + last].reduce(0) { $0 + Int($1.byteCount) }
            let target = UnsafeMutableRawBufferPointer(rebasing: stretch.memory[offset..<offset + length])
            if try !read(locations[index...last], into: target) {
                var place = offset
                for key in keys[index...last] {
                    let plain = try store.plain(key)
                    guard place + plain.count <= offset + length else {
                        throw PackFrame.damaged(key, "has another size than its manifest says")
                    }
                    UnsafeMutableRawBufferPointer(rebasing: stretch.memory[place...]).copyBytes(from: plain)
                    place += plain.count
                }
            }
            offset += length
            index = last + 1
        }
        return end
    }

    /// Reads chunks that lie side by side; false if they are not where the index says, or not as long.
    private func read(
        _ locations: ArraySlice<ObjectLocation?>, into target: UnsafeMutableRawBufferPointer
    ) throws -> Bool {
        guard let first = locations.first ?? nil, let file = try? store.openPack(first.pack) else { return false }
        if first.codec == .raw {
            guard locations.reduce(0, { $0 + ($1?.storedLength ?? 0) }) == target.count else { return false }
            return try file.read(into: target, at: first.offset) == target.count
        }
        guard first.plainLength == target.count,
            let stored = try? file.read(count: first.storedLength, at: first.offset)
        else { return false }
        let size = stored.withUnsafeBytes {
            ZSTD_decompress(target.baseAddress, target.count, $0.baseAddress, $0.count)
        }
        return ZSTD_isError(size) == 0 && size == target.count
    }

    /// Why the whole is wrong.
    private func culprit() throws -> MLOpsError {
        let keys = chunks.map { ObjectKey(.chunk, $0.chunk) }
        for (key, isHere) in zip(keys, try store.index.contains(keys)) where isHere { _ = try store.plain(key) }
        return PackFrame.damaged(ObjectKey(.manifest, digest), "lists chunks that make another file")
    }
}

/// The chunks of a file that arrive while it is written.
// @unchecked: one thread at a time uses it; `stream` takes care of itself.
final class IncomingChunks: @unchecked Sendable {
    let stream: any ChunkStream
    /// nil if the chunks go into the file alone; then the file's digest is what proves them.
    let keeper: ChunkKeeper?
    /// Their places in the file, ascending.
    private let positions: [Int]
    private var turn = 0

    init(
        _ missing: [(position: Int, key: ObjectKey)], of chunks: [FileManifest.Entry], from source: any ChunkSource,
        store: ContentStore, isKept: Bool = true, proves: Bool = true
    ) {
        precondition(proves || !isKept, "what is kept must be proven chunk by chunk")
        positions = missing.map(\.position)
        var runs: [ChunkRun] = []
        var (offset, passed) = (Int64(0), 0)
        for (index, (position, key)) in missing.enumerated() {
            offset += chunks[passed..<position].reduce(0) { $0 + $1.byteCount }
            passed = position
            if index > 0, missing[index - 1].position == position - 1 {
                runs[runs.count - 1].keys.append(key)
            } else {
                runs.append(ChunkRun(offset: offset, keys: [key]))
            }
        }
        stream = source.stream(runs, proves: proves)
        keeper = isKept ? ChunkKeeper(store) : nil
    }

    /// Whether the chunk at `position` is the next that comes.
    func isNext(_ position: Int) -> Bool { turn < positions.count && positions[turn] == position }

    /// The next batch, which must be what the file wants next.
    func next(among wanted: ArraySlice<FileManifest.Entry>) throws -> ChunkBatch {
        guard let batch = try stream.next(), batch.entries.count <= wanted.count,
            zip(batch.entries, wanted).allSatisfy({ $0.key.id == $1.chunk && Int64($0.plainLength) == $1.byteCount })
        else { throw MLOpsError(.damaged, "the remote sends other chunks than were asked for", hint: healingHint) }
        try keeper?.append(batch)
        turn += batch.entries.count
        return batch
    }
}

internal import Basics
internal import Dispatch
internal import Synchronization

/// What one addition has put into packs so far; shared by its tasks.
final class AddSession: Sendable {
    private struct State {
        /// Objects that a task of this session has taken on.
        var claimed: Set<ObjectKey> = []
        var finished: [IndexedPack] = []
        var newByteCount: Int64 = 0
        var newObjectCount = 0
        var failure: (any Error)?
        /// Manifests, segments and trees: written last, so that what is in a pack never names what is not.
        var details: [(key: ObjectKey, bytes: [UInt8])] = []
        /// Files whose chunks stay where they are.
        var left: [String: InPlaceFile] = [:]
    }

    let index: ContentIndex
    let packs: PackFolder
    /// Whether the contents of files stay in the workspace.
    let isInPlace: Bool
    private let state = Mutex(State())
    /// Flushing waits for the disk, so it has a thread of its own.
    private let flusher = DispatchQueue(label: "mlops.packs")
    /// Bounds the packs that wait to be flushed.
    private let slots = DispatchSemaphore(value: 3)

    init(index: ContentIndex, packs: PackFolder, isInPlace: Bool = false) throws {
        self.index = index
        self.packs = packs
        self.isInPlace = isInPlace
        try packs.prepare()
    }

    /// Which of the objects this caller must store: not in the store, and taken on by nobody else.
    func claim(_ keys: [ObjectKey]) throws -> [Bool] {
        var isMine = state.withLock { state in keys.map { state.claimed.insert($0).inserted } }
        let candidates = keys.indices.filter { isMine[$0] }
        let isHere = try index.contains(candidates.map { keys[$0] }, inPacksAlone: !isInPlace)
        for (candidate, isHere) in zip(candidates, isHere) where isHere { isMine[candidate] = false }
        return isMine
    }

    func count(newBytes: Int64, objects: Int) {
        state.withLock {
            $0.newByteCount += newBytes
            $0.newObjectCount += objects
        }
    }

    /// Notes chunks that stay in the file at `place`.
    ///
    /// - Parameter chunks: their ids, starts after the place's offset, and lengths.
    func leave(_ chunks: [(id: Digest, start: Int64, length: UInt32)], in place: FilePlace) {
        let chunks = chunks.map { InPlaceChunk(id: $0.id, offset: place.offset + $0.start, length: $0.length) }
        state.withLock { state in
            state.left[place.path, default: InPlaceFile(place)].chunks += chunks
        }
    }

    /// Stores objects after all chunks, unless they are here.
    func addDetails(_ details: [(key: ObjectKey, bytes: [UInt8])]) throws {
        let isNew = try claim(details.map(\.key))
        state.withLock { state in
            for (detail, isNew) in zip(details, isNew) where isNew {
                state.details.append(detail)
                state.newObjectCount += 1
            }
        }
    }

    /// Flushes and installs the pack in the background; waits while several are under way.
    func finish(_ writer: PackWriter) throws {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        slots.wait()
        flusher.async { [self] in
            defer { slots.signal() }
            do {
                let pack = try writer.finish()
                try packs.install(temporary: pack.path, as: pack.digest)
                let indexed = IndexedPack(digest: pack.digest, byteCount: pack.byteCount, entries: pack.entries)
                state.withLock { $0.finished.append(indexed) }
            } catch {
                state.withLock { $0.failure = $0.failure ?? error }
            }
        }
    }

    /// Waits for the packs that are under way.
    private func settle() async throws {
        await withCheckedContinuation { continuation in flusher.async { continuation.resume() } }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Writes what is left, data before details, and returns the packs, all of them on the disk.
    func close(_ writers: [PackWriter]) async throws -> AddOutcome {
        let open = writers.filter { !$0.isEmpty }
        let (details, left) = state.withLock { ($0.details, $0.left.values.sorted { $0.path < $1.path }) }
        // Written before the manifests and listings that need what it tells of.
        let record = left.isEmpty ? nil : (name: try index.inPlace.write(left), files: left)
        var last: PackWriter?
        if open.count == 1, state.withLock({ $0.finished.isEmpty }), details.count <= 1024 {
            // All of a small addition fits into one pack, which is there or not as a whole.
            last = open[0]
        } else {
            for writer in open { try finish(writer) }
            try await settle()
        }
        if !details.isEmpty {
            let compressor = Compressor()
            var writer = try last ?? packs.writer()
            for (key, bytes) in details {
                try bytes.withUnsafeBytes { try writer.append(key, plain: $0, compressor: compressor) }
                if writer.isFull {
                    try finish(writer)
                    writer = try packs.writer()
                }
            }
            last = writer
        }
        if let last, !last.isEmpty { try finish(last) }
        try await settle()
        return state.withLock { state in
            AddOutcome(
                packs: state.finished, inPlace: record,
                newByteCount: state.newByteCount, newObjectCount: state.newObjectCount,
                manifests: state.details.map(\.key).filter { $0.kind == .manifest })
        }
    }
}

/// What an addition wrote.
struct AddOutcome: Sendable {
    var packs: [IndexedPack]
    var inPlace: (name: String, files: [InPlaceFile])?
    var newByteCount: Int64
    var newObjectCount: Int
    var manifests: [ObjectKey]
}

extension PackWriter {
    /// Stores an object, compressed where that pays.
    func append(_ key: ObjectKey, plain: UnsafeRawBufferPointer, compressor: Compressor) throws {
        if let compressed = compressor.compress(plain) {
            try compressed.withUnsafeBytes {
                try append(key: key, codec: .zstd, plainLength: plain.count, stored: $0)
            }
        } else {
            try append(key: key, codec: .raw, plainLength: plain.count, stored: plain)
        }
    }
}

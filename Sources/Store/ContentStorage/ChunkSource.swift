package import Basics
internal import Dispatch
internal import Synchronization

/// Where a checkout gets chunks of large files that the store lacks, so that they go into the file and into the store while
/// they arrive.
package protocol ChunkSource: Sendable {
    /// Whether the source has the chunk.
    func holds(_ key: ObjectKey) -> Bool
    /// The chunks of `runs`, which it holds, in this order. No batch goes beyond a run.
    ///
    /// - Parameter proves: whether each chunk is compared with its key. Whoever keeps none and hashes the file as a whole can
    ///   do without.
    func stream(_ runs: [ChunkRun], proves: Bool) -> any ChunkStream
}

/// Chunks that stand one after the other in a file.
package struct ChunkRun: Sendable {
    /// Where the first begins in the file.
    package var offset: Int64
    package var keys: [ObjectKey]

    package init(offset: Int64, keys: [ObjectKey]) {
        self.offset = offset
        self.keys = keys
    }
}

/// Chunks on their way.
package protocol ChunkStream: Sendable {
    /// The next ones; nil after the last. Waits, so it is not for a task.
    ///
    /// - Throws: what fetching them ran into; `CancellationError` after `stop`.
    func next() throws -> ChunkBatch?
    /// Fetches no more.
    func stop()
}

/// Neighbouring chunks of a file.
package struct ChunkBatch: Sendable {
    package let entries: [PackEntry]
    /// As they are stored, one after the other.
    package let stored: PooledBytes
    /// Their bytes, one after the other.
    package let plain: PooledBytes
    /// Whether each chunk is known to be what its key says.
    private var isProven: Bool

    /// Whether all of them are stored as they are.
    var isRaw: Bool { entries.allSatisfy { $0.codec == .raw } }

    /// Chunks that came as they are stay unproven.
    ///
    /// - Parameters:
    ///   - stored: what `entries` tell of, one after the other; begins where the first page of its place in the file does.
    ///   - pool: gives memory for the bytes of compressed chunks.
    /// - Throws: kind `.damaged` if a compressed chunk is not what its key says.
    package init(_ entries: [PackEntry], stored: PooledBytes, pool: PagePool) throws {
        self.entries = entries
        self.stored = stored
        isProven = entries.contains { $0.codec != .raw }
        guard isProven else {
            plain = stored
            return
        }
        plain = pool.take(entries.reduce(0) { $0 + $1.plainLength }, phase: stored.phase)
        var (start, place) = (0, 0)
        for entry in entries {
            let frame = PackFrame(entry, stored: Array(stored.bytes[start..<start + entry.storedLength]))
            let bytes = try frame.decoded()
            guard bytes.count == entry.plainLength else { throw PackFrame.damaged(entry.key, "has the wrong length") }
            UnsafeMutableRawBufferPointer(rebasing: plain.memory[place...]).copyBytes(from: bytes)
            start += entry.storedLength
            place += entry.plainLength
        }
    }

    /// - Throws: kind `.damaged` if a chunk is not what its key says.
    package mutating func prove() throws {
        guard !isProven else { return }
        var start = 0
        let digests = Digest.ofEach(
            entries.map { entry in
                defer { start += entry.storedLength }
                return UnsafeRawBufferPointer(rebasing: plain.bytes[start..<start + entry.storedLength])
            })
        if let (entry, _) = zip(entries, digests).first(where: { $0.key.id != $1 }) {
            throw PackFrame.damaged(entry.key, "has other bytes than its digest says")
        }
        isProven = true
    }
}

/// Puts chunks that came from elsewhere into packs of this store, each pack as soon as it is full.
///
/// One thread at a time uses it; while a pack is flushed, the next is filled.
final class ChunkKeeper {
    /// Flushes packs and gives them their names.
    private final class Installer: Sendable {
        private let store: ContentStore
        private let failure = Mutex<(any Error)?>(nil)

        init(_ store: ContentStore) { self.store = store }

        /// - Throws: what an earlier pack ran into.
        func check() throws { try failure.withLock { if let failure = $0 { throw failure } } }

        func install(_ writer: PackWriter) {
            do {
                let pack = try writer.finish()
                try store.packs.install(temporary: pack.path, as: pack.digest)
                let indexed = IndexedPack(digest: pack.digest, byteCount: pack.byteCount, entries: pack.entries)
                try store.index.record(packs: [indexed], complete: [], folders: [])
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
    }

    private let store: ContentStore
    private let installer: Installer
    private let queue = DispatchQueue(label: "mlops.keep")
    private var writer: PackWriter?

    init(_ store: ContentStore) {
        self.store = store
        installer = Installer(store)
    }

    deinit { queue.sync {} }

    /// - Throws: what an earlier pack ran into.
    func append(_ batch: ChunkBatch) throws {
        try installer.check()
        let writer = try self.writer ?? store.packWriter()
        self.writer = writer
        if batch.isRaw {
            try writer.append(batch.entries, lending: batch.stored)
            return installIfFull(writer)
        }
        var start = 0
        for entry in batch.entries {
            try writer.append(
                key: entry.key, codec: entry.codec, plainLength: entry.plainLength,
                stored: UnsafeRawBufferPointer(rebasing: batch.stored.bytes[start..<start + entry.storedLength]))
            start += entry.storedLength
        }
        installIfFull(writer)
    }

    private func installIfFull(_ writer: PackWriter) {
        if writer.isFull { install() }
    }

    /// Flushes and installs what was not yet.
    func finish() throws {
        install()
        queue.sync {}
        try installer.check()
    }

    private func install() {
        guard let full = writer else { return }
        writer = nil
        // One at a time, so that a slow disk is felt.
        queue.sync {}
        queue.async { [installer] in installer.install(full) }
    }
}

extension ContentStore {
    /// Files whose missing bytes are fewer are fetched before they are written: small ones come in few requests together.
    package static let streamingMinimum: Int64 = 32 << 20

    /// The chunks that a checkout of `root` to `path` would take from a `ChunkSource`: those of large files that it would
    /// write and that the store lacks. None while listings are missing.
    ///
    /// - Parameter known: what the store lacks of the root, if somebody has just looked.
    package func chunksToStream(
        of root: ContentRoot, to path: String, _ selection: PathSelection = .all,
        missing known: [MissingContent]? = nil,
        isInPlace: Bool = false
    ) async throws -> Set<ObjectKey> {
        let missing = try known ?? missingContent(below: [root], selection)
        guard missing.reduce(0, { $0 + $1.byteCount }) >= (isInPlace ? 1 : ContentStore.streamingMinimum),
            !missing.contains(where: \.isListing)
        else { return [] }
        let scan =
            try FileStatus.of(FileSystem.absolute(path)) == nil ? nil : try await identified(path, jobs: defaultJobs)
        if let scan, scan.content.digest == root.digest { return [] }
        let plan = try CheckoutPlan(root, store: self, scan: scan, selection: selection)
        var keys: Set<ObjectKey> = []
        for write in plan.writes {
            let streamed = try streamed(write, chunks(of: write), isInPlace)
            keys.reserveCapacity(keys.count + streamed.count)
            for chunk in streamed { keys.insert(chunk.key) }
        }
        return keys
    }

    /// The chunks of the file that are here or to come.
    func chunks(of write: CheckoutPlan.Write) throws -> [FileManifest.Entry] {
        guard write.byteCount >= ContentStore.streamingMinimum, write.kind != .symlink else { return [] }
        return try chunks(ofFile: write.digest, byteCount: write.byteCount)
    }

    /// Those of `chunks` that are not here, with their places among them; none where the file is better put together from
    /// what was fetched before.
    func streamed(
        _ write: CheckoutPlan.Write, _ chunks: [FileManifest.Entry], _ isInPlace: Bool = false
    ) throws -> [(position: Int, key: ObjectKey)] {
        let keys = chunks.map { ObjectKey(.chunk, $0.chunk) }
        let missing = zip(keys.indices, try index.contains(keys)).filter { !$0.1 }.map { ($0.0, keys[$0.0]) }
        // A chunk that stands in the file twice is to come once.
        let least = isInPlace ? 1 : ContentStore.streamingMinimum
        guard missing.reduce(0, { $0 + chunks[$1.0].byteCount }) >= least,
            Set(missing.map(\.1)).count == missing.count
        else { return [] }
        return missing
    }
}

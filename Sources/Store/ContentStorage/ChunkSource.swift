internal import Basics

/// Where a checkout gets chunks of large files that the store lacks, so that they go into the file and into the store while
/// they arrive.
package protocol ChunkSource: Sendable {
    /// Whether the source has the chunk.
    func holds(_ key: ObjectKey) -> Bool
    /// The chunks of `runs`, which it holds, in this order. A run stands together in the file; no batch goes beyond one.
    func stream(_ runs: [[ObjectKey]]) -> any ChunkStream
}

/// Chunks on their way.
package protocol ChunkStream: Sendable {
    /// The next ones, each proven to be what its key says; nil after the last. Waits, so it is not for a task.
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
    package let stored: [UInt8]
    /// Their bytes, one after the other.
    package let plain: [UInt8]

    /// - Parameter stored: what `entries` tell of, one after the other.
    /// - Throws: kind `.damaged` if a chunk is not what its key says.
    package init(_ entries: [PackEntry], stored: [UInt8]) throws {
        self.entries = entries
        self.stored = stored
        guard entries.contains(where: { $0.codec != .raw }) else {
            plain = stored
            try ChunkBatch.prove(entries, stored)
            return
        }
        var plain: [UInt8] = []
        plain.reserveCapacity(entries.reduce(0) { $0 + $1.plainLength })
        var start = 0
        for entry in entries {
            plain += try PackFrame(entry, stored: Array(stored[start..<start + entry.storedLength])).decoded()
            start += entry.storedLength
        }
        self.plain = plain
    }

    private static func prove(_ entries: [PackEntry], _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { raw in
            var start = 0
            let pieces = entries.map { entry in
                defer { start += entry.storedLength }
                return UnsafeRawBufferPointer(rebasing: raw[start..<start + entry.storedLength])
            }
            for (entry, digest) in zip(entries, Digest.ofEach(pieces)) where entry.key.id != digest {
                throw PackFrame.damaged(entry.key, "has other bytes than its digest says")
            }
        }
    }
}

/// Puts chunks that came from elsewhere into packs of this store, each pack as soon as it is full.
///
/// One thread at a time uses it.
final class ChunkKeeper {
    private let store: ContentStore
    private var writer: PackWriter?

    init(_ store: ContentStore) { self.store = store }

    func append(_ batch: ChunkBatch) throws {
        let writer = try self.writer ?? PackWriter(folder: store.packsFolder())
        self.writer = writer
        try batch.stored.withUnsafeBytes { raw in
            var start = 0
            for entry in batch.entries {
                try writer.append(
                    key: entry.key, codec: entry.codec, plainLength: entry.plainLength,
                    stored: UnsafeRawBufferPointer(rebasing: raw[start..<start + entry.storedLength]))
                start += entry.storedLength
            }
        }
        if writer.isFull { try finish() }
    }

    /// Flushes and installs what was not yet.
    func finish() throws {
        guard let writer else { return }
        self.writer = nil
        let pack = try writer.finish()
        try store.packs.install(temporary: pack.path, as: pack.digest)
        let indexed = IndexedPack(digest: pack.digest, byteCount: pack.byteCount, entries: pack.entries)
        try store.index.record(packs: [indexed], complete: [], folders: [])
    }
}

extension ContentStore {
    /// Files whose missing bytes are fewer are fetched before they are written: small ones come in few requests together.
    package static let streamingMinimum: Int64 = 32 << 20

    /// The chunks that a checkout of `root` to `path` would take from a `ChunkSource`: those of large files that it would
    /// write and that the store lacks. None while listings are missing.
    package func chunksToStream(
        of root: ContentRoot, to path: String, _ selection: PathSelection = .all
    ) async throws -> Set<ObjectKey> {
        let missing = try missingContent(below: [root], selection)
        guard missing.reduce(0, { $0 + $1.byteCount }) >= ContentStore.streamingMinimum,
            !missing.contains(where: \.isListing)
        else { return [] }
        let scan =
            try FileStatus.of(FileSystem.absolute(path)) == nil ? nil : try await identified(path, jobs: defaultJobs)
        if let scan, scan.content.digest == root.digest { return [] }
        let plan = try CheckoutPlan(root, store: self, scan: scan, selection: selection)
        var keys: Set<ObjectKey> = []
        for write in plan.writes { keys.formUnion(try streamed(write, chunks(of: write)).map(\.key)) }
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
        _ write: CheckoutPlan.Write, _ chunks: [FileManifest.Entry]
    ) throws -> [(position: Int, key: ObjectKey)] {
        let keys = chunks.map { ObjectKey(.chunk, $0.chunk) }
        let missing = zip(keys.indices, try index.contains(keys)).filter { !$0.1 }.map { ($0.0, keys[$0.0]) }
        // A chunk that stands in the file twice is to come once.
        guard missing.reduce(0, { $0 + chunks[$1.0].byteCount }) >= ContentStore.streamingMinimum,
            Set(missing.map(\.1)).count == missing.count
        else { return [] }
        return missing
    }
}

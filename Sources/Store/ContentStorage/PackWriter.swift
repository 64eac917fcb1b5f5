package import Basics
internal import Glibc

/// A pack that is written and waits under a temporary name to be installed or sent.
package struct FinishedPack: Sendable {
    /// The pack's name: the SHA-256 of its footer.
    package var digest: Digest
    /// The temporary file.
    package var path: String
    package var entries: [PackEntry]
    package var byteCount: Int64
    /// The SHA-256 of the file of a pack that is sent.
    package var fileDigest: Digest?
}

/// Writes one pack, frame after frame, into a temporary file that goes away unless it is finished.
///
/// One task at a time may use it.
// @unchecked: handed from task to task, never used by two at once.
package final class PackWriter: @unchecked Sendable {
    /// What becomes of a finished pack.
    package enum Purpose: Sendable {
        /// It stays: it is flushed.
        case kept
        /// It stays where nothing is wanted after a power cut.
        case scratch
        /// It is sent and goes away: it tells the digest of its file's bytes.
        case sent
    }

    private let file: OpenFile
    private let writer: BlockWriter
    private var hasher: DigestHasher?
    private let purpose: Purpose
    private var isOpen = true
    package private(set) var entries: [PackEntry] = []

    /// Starts a pack in `folder`, which must lie on the disk where the pack will stay.
    package init(folder: String, for purpose: Purpose = .kept) throws {
        self.purpose = purpose
        hasher = purpose == .sent ? DigestHasher() : nil
        try Failpoint.reach("pack.create")
        file = try TemporaryFile.create(beside: FileSystem.join(folder, "pack"))
        writer = BlockWriter(file, patience: .waitsForDisk)
        try PackFormat.header.withUnsafeBytes { try append($0) }
    }

    deinit { abandon() }

    /// The bytes so far, without the footer.
    package var byteCount: Int64 { writer.byteCount }

    package var isEmpty: Bool { entries.isEmpty }

    /// Whether the pack has reached the size at which the next one is started.
    package var isFull: Bool { byteCount >= PackFormat.targetByteCount }

    package func append(_ frame: PackFrame) throws {
        try frame.stored.withUnsafeBytes {
            try append(key: frame.key, codec: frame.codec, plainLength: frame.plainLength, stored: $0)
        }
    }

    func append(key: ObjectKey, codec: PackCodec, plainLength: Int, stored: UnsafeRawBufferPointer) throws {
        let check = codec == .raw ? 0 : PackFormat.check(of: stored)
        entries.append(
            PackEntry(
                key: key, offset: byteCount, storedLength: stored.count, plainLength: plainLength, codec: codec,
                check: check))
        try append(stored)
    }

    /// Sees to it that the next frame, with which a run of `runLength` bytes begins, lies as far into a page as `offset`, unless the
    /// run is short.
    func align(runOf runLength: Int, to offset: Int64) throws {
        let page = PackFormat.pageLength
        let missing = (offset % page - byteCount % page + page) % page
        guard PackFormat.aligns(runOf: runLength), missing > 0 else { return }
        try [UInt8](repeating: 0, count: Int(missing)).withUnsafeBytes { try append($0) }
    }

    /// Appends the chunks in `range` as they are.
    ///
    /// - Parameters:
    ///   - offset: where they begin in their file, and how far into a page they are to begin here; nil for files of one chunk.
    ///   - source: their file, if whole pages are to share their blocks with it where the file system lets them.
    func append(_ run: PieceRun, _ range: Range<Int>, at offset: Int64?, sharing source: OpenFile?) throws {
        let bytes = run.slice(range)
        if let offset { try align(runOf: bytes.count, to: offset) }
        let start = Int(byteCount)
        list(range.lazy.map { (run.keys[$0], Int(run.lengths[$0])) })
        guard let offset, let source, PackFormat.aligns(runOf: bytes.count) else { return try append(bytes) }
        let page = Int(PackFormat.pageLength)
        let head = (start + page - 1) / page * page - start
        let end = (start + bytes.count) / page * page - start
        try append(UnsafeRawBufferPointer(rebasing: bytes[..<head]))
        let pages = UnsafeRawBufferPointer(rebasing: bytes[head..<end])
        try Failpoint.reach("pack.share")
        if try writer.append(sharing: source, from: offset + Int64(head), count: Int64(pages.count)) {
            hasher?.update(pages)
        } else {
            try append(pages)
        }
        try append(UnsafeRawBufferPointer(rebasing: bytes[end...]))
    }

    /// Appends chunks that stand one after the other in their file, as they are, from where they begin in a page there.
    func append(_ run: [PackEntry], lending stored: PooledBytes) throws {
        try align(runOf: stored.count, to: Int64(stored.phase))
        list(run.lazy.map { ($0.key, $0.storedLength) })
        try writer.append(lending: stored, isShared: true)
        hasher?.update(stored.bytes)
    }

    /// Lists chunks that come next, as they are.
    private func list(_ chunks: some Sequence<(key: ObjectKey, length: Int)>) {
        var offset = byteCount
        for (key, length) in chunks {
            entries.append(PackEntry(key: key, offset: offset, storedLength: length, plainLength: length, codec: .raw))
            offset += Int64(length)
        }
    }

    private func append(_ stored: UnsafeRawBufferPointer) throws {
        try writer.append(stored)
        hasher?.update(stored)
    }

    /// Writes the footer and forces a pack that is kept to the disk; the file is the caller's from here on.
    package func finish() throws -> FinishedPack {
        precondition(isOpen, "a pack is finished once")
        let ending = PackFormat.ending(entries)
        do {
            try ending.bytes.withUnsafeBytes { try append($0) }
            try writer.finish()
            try Failpoint.reach("pack.chmod")
            if fchmod(file.descriptor, 0o444) != 0 {
                throw MLOpsError.system("set the mode of", file.path, errno: errno)
            }
            if purpose == .kept {
                try Failpoint.reach("pack.fsync")
                try file.synchronize()
            }
        } catch {
            abandon()
            throw error
        }
        isOpen = false
        return FinishedPack(
            digest: ending.digest, path: file.path, entries: entries, byteCount: byteCount,
            fileDigest: hasher?.finalize())
    }

    /// Throws the pack away.
    package func abandon() {
        guard isOpen else { return }
        isOpen = false
        unlink(file.path)
    }
}

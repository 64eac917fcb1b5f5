internal import Basics
internal import CSystem
internal import Glibc

/// The chunks at the start of a file that are what they should be, and the proof of the file up to their end.
struct ProvenBeginning: Sendable {
    var proof: FileProof
    var chunkCount = 0
    var byteCount: Int64 = 0
}

extension ContentStore {
    /// Makes `path` hold the file `root`, from chunks that are here and chunks that `source` sends, which are kept nowhere
    /// else; goes on from what an interrupted call left at `path`.
    ///
    /// After an error the file may be there in part, under its name, so that should be one that nobody looks at. Nothing is
    /// flushed.
    ///
    /// - Throws: kind `.damaged` if the chunks do not make the file.
    package func receive(
        _ root: ContentRoot, at path: String, from source: any ChunkSource, progress: ProgressHandler?
    ) async throws {
        try await receive(root, at: path, from: source, isKeptAtLast: true) {
            ProgressCounter(progress, totalBytes: root.byteCount, totalFiles: 1)
        }
    }

    /// - Parameters:
    ///   - isKeptAtLast: whether chunks that come a second time go into the store, too.
    ///   - counter: counts what comes, anew for the second time.
    func receive(
        _ root: ContentRoot, at path: String, from source: (any ChunkSource)?, isKeptAtLast: Bool,
        counter: () -> ProgressCounter
    ) async throws {
        let chunks = try chunks(ofFile: root.digest, byteCount: root.byteCount)
        let midstates = try midstates(ofFile: root.digest)
        // Hashing the file proves all of it. Only if that fails is each chunk looked at, and the rest comes once more.
        for isLast in [false, true] {
            let file = try openPartial(path)
            let beginning = try provenBeginning(of: file, chunks, midstates)
            try file.cut(to: beginning.byteCount)
            let counter = counter()
            counter.add(bytes: beginning.byteCount, files: 0)
            let incoming = try incoming(
                chunks, after: beginning, from: source, isKept: isLast && isKeptAtLast, proves: isLast)
            let assembly = FileAssembly(
                store: self, chunks: chunks, digest: root.digest, midstates: midstates, progress: counter,
                incoming: incoming, beginning: beginning)
            do {
                return try await withTaskCancellationHandler {
                    try await BlockingThreads.shared.run { try assembly.fill(file) }
                } onCancel: {
                    incoming?.stream.stop()
                }
            } catch let error as MLOpsError where error.kind == .damaged && !isLast && incoming != nil {
                continue
            }
        }
    }

    private func openPartial(_ path: String) throws -> OpenFile {
        let descriptor = mlops_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o666)
        if descriptor < 0 { throw MLOpsError.system("create", path, errno: errno) }
        let file = OpenFile(descriptor: descriptor, path: path)
        guard try file.status().kind == .file else { throw MLOpsError(.failed, "`\(path)` is not a regular file") }
        return file
    }

    private func incoming(
        _ chunks: [FileManifest.Entry], after beginning: ProvenBeginning, from source: (any ChunkSource)?, isKept: Bool,
        proves: Bool
    ) throws -> IncomingChunks? {
        let keys = chunks.map { ObjectKey(.chunk, $0.chunk) }
        let isHere = try index.contains(keys)
        let missing = keys.indices.dropFirst(beginning.chunkCount).filter { !isHere[$0] }.map { ($0, keys[$0]) }
        if let lacking = missing.first(where: { source?.holds($0.1) != true }) { throw ContentStore.missing(lacking.1) }
        guard let source, !missing.isEmpty else { return nil }
        return IncomingChunks(missing, of: chunks, from: source, store: self, isKept: isKept, proves: proves)
    }

    /// How much of a file is there.
    private func provenBeginning(
        of file: OpenFile, _ chunks: [FileManifest.Entry], _ midstates: [Digest]
    ) throws -> ProvenBeginning {
        var beginning = ProvenBeginning(proof: FileProof(midstates: midstates))
        let size = try file.status().size
        while beginning.chunkCount < chunks.count {
            var end = beginning.chunkCount
            var length: Int64 = 0
            while end < chunks.count, length + chunks[end].byteCount <= 4 << 20 {
                length += chunks[end].byteCount
                end += 1
            }
            // Chunks of which only a part is there are not worth a look.
            guard end > beginning.chunkCount, beginning.byteCount + length <= size else { break }
            let bytes = try file.read(count: Int(length), at: beginning.byteCount)
            let wanted = chunks[beginning.chunkCount..<end]
            let isWanted = bytes.withUnsafeBytes { raw in
                var start = 0
                let pieces = wanted.map { chunk in
                    defer { start += Int(chunk.byteCount) }
                    return UnsafeRawBufferPointer(rebasing: raw[start..<start + Int(chunk.byteCount)])
                }
                guard Digest.ofEach(pieces) == wanted.map(\.chunk) else { return false }
                beginning.proof.update(raw)
                return true
            }
            guard isWanted else { break }
            beginning.chunkCount = end
            beginning.byteCount += length
        }
        return beginning
    }
}

extension OpenFile {
    /// Drops what lies behind `byteCount` bytes; the next write goes there.
    fileprivate func cut(to byteCount: Int64) throws {
        guard try status().size > byteCount else {
            lseek(descriptor, off_t(byteCount), SEEK_SET)
            return
        }
        try Failpoint.reach("receive.cut")
        guard ftruncate(descriptor, off_t(byteCount)) == 0, lseek(descriptor, off_t(byteCount), SEEK_SET) >= 0 else {
            throw MLOpsError.system("shorten", path, errno: errno)
        }
    }
}

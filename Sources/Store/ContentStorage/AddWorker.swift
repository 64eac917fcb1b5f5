internal import Basics
internal import Glibc

/// One of the tasks that put small files into packs, with the memory it needs.
// @unchecked: each is used by one task at a time.
final class AddWorker: @unchecked Sendable {
    let session: AddSession
    private let compressor = Compressor()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Int(StoreLimits.largeFile) + 4096, alignment: 4096)
    private(set) var writer: PackWriter?

    init(session: AddSession) { self.session = session }

    deinit { buffer.deallocate() }

    private struct Piece {
        var key: ObjectKey
        var range: Range<Int>
    }

    /// Reads, hashes and stores the files of one batch, all of which fit into the buffer together.
    func add(_ batch: [WorkspaceScan.Place], of scan: WorkspaceScan) throws -> [HashedFile] {
        var files: [HashedFile] = []
        var pieces: [Piece] = []
        var used = 0
        for place in batch {
            if scan.entry(place).kind == .symlink {
                let start = StableRead.now()
                let (target, status) = try scan.readLink(place)
                let digest = Digest.of(target)
                if used + target.count > buffer.count {
                    try store(pieces)
                    pieces = []
                    used = 0
                }
                UnsafeMutableRawBufferPointer(rebasing: buffer[used...]).copyBytes(from: target)
                pieces.append(Piece(key: ObjectKey(.chunk, digest), range: used..<used + target.count))
                used += target.count
                files.append(
                    HashedFile(
                        place: place, digest: digest, status: status,
                        isRacy: StableRead.isRacy(status, hashedFrom: start)))
                continue
            }
            let start = StableRead.now()
            let file = try scan.open(place)
            let status = try StableRead.begin(file)
            // The file may have grown since the folder was read.
            guard status.size < Int64(buffer.count) else { throw StableRead.changed(file.path) }
            if used + Int(status.size) + 1 > buffer.count {
                try store(pieces)
                pieces = []
                used = 0
            }
            // One byte more than expected, to see a file that grows.
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[used..<used + Int(status.size) + 1])
            let count = try file.read(into: room, at: 0)
            try StableRead.end(file, as: status, readCount: Int64(count))
            let digest = try cut(used..<used + count, into: &pieces)
            used += count
            files.append(
                HashedFile(
                    place: place, digest: digest, status: status, isRacy: StableRead.isRacy(status, hashedFrom: start)))
        }
        try store(pieces)
        return files
    }

    /// Stores content that is in memory already.
    func add(_ bytes: [UInt8]) throws -> Digest {
        precondition(bytes.count <= buffer.count, "the content is larger than \(buffer.count) bytes")
        buffer.copyBytes(from: bytes)
        var pieces: [Piece] = []
        let digest = try cut(0..<bytes.count, into: &pieces)
        try store(pieces)
        return digest
    }

    /// Cuts one file, the bytes `range` of the buffer, and returns its digest.
    private func cut(_ range: Range<Int>, into pieces: inout [Piece]) throws -> Digest {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[range])
        if bytes.isEmpty { return emptyContent }
        let digest = Digest.of(raw: bytes)
        let lengths = Chunker.lengths(of: bytes)
        if lengths.count == 1 {
            pieces.append(Piece(key: ObjectKey(.chunk, digest), range: range))
            return digest
        }
        var chunks: [FileManifest.Entry] = []
        var start = range.lowerBound
        for length in lengths {
            let chunk = Digest.of(raw: UnsafeRawBufferPointer(rebasing: buffer[start..<start + length]))
            pieces.append(Piece(key: ObjectKey(.chunk, chunk), range: start..<start + length))
            chunks.append(FileManifest.Entry(chunk: chunk, byteCount: Int64(length)))
            start += length
        }
        try session.addManifest(of: digest, chunks: chunks)
        return digest
    }

    private func store(_ pieces: [Piece]) throws {
        let isNew = try session.claim(pieces.map(\.key))
        var byteCount: Int64 = 0
        var objectCount = 0
        for (piece, isNew) in zip(pieces, isNew) where isNew {
            let target = try openWriter()
            try target.append(
                piece.key, plain: UnsafeRawBufferPointer(rebasing: buffer[piece.range]), compressor: compressor)
            byteCount += Int64(piece.range.count)
            objectCount += 1
            try passOnIfFull()
        }
        session.count(newBytes: byteCount, objects: objectCount)
    }

    /// The pack that is being written.
    func openWriter() throws -> PackWriter {
        if let writer { return writer }
        let created = try PackWriter(folder: session.packs.path)
        writer = created
        return created
    }

    func passOnIfFull() throws {
        if let full = writer, full.isFull {
            writer = nil
            try session.finish(full)
        }
    }
}

extension AddSession {
    /// Stores the list of a file's chunks.
    func addManifest(of digest: Digest, chunks: [FileManifest.Entry]) throws {
        let (manifest, segments) = FileManifest.make(of: chunks)
        try addDetails(
            segments.map { (ObjectKey(.chunk, Digest.of($0)), $0) }
                + [(ObjectKey(.manifest, digest), manifest.encoded())])
    }

    /// Stores directories' listings; one of more than a chunk is stored as a file is.
    func addTrees(_ trees: [(digest: Digest, listing: [UInt8])]) throws {
        var small: [(ObjectKey, [UInt8])] = []
        for (digest, listing) in trees {
            let lengths = listing.withUnsafeBytes { Chunker.lengths(of: $0) }
            if lengths.count == 1 {
                small.append((ObjectKey(.tree, digest), listing))
                continue
            }
            var chunks: [FileManifest.Entry] = []
            var details: [(ObjectKey, [UInt8])] = []
            var start = 0
            for length in lengths {
                let chunk = Array(listing[start..<start + length])
                let id = Digest.of(chunk)
                details.append((ObjectKey(.chunk, id), chunk))
                chunks.append(FileManifest.Entry(chunk: id, byteCount: Int64(length)))
                start += length
            }
            try addDetails(details)
            try addManifest(of: digest, chunks: chunks)
        }
        try addDetails(small)
    }
}

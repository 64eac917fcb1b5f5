internal import Basics
internal import Glibc

/// One of the tasks that put small files into packs, with the memory it needs.
// @unchecked: each is used by one task at a time.
final class AddWorker: @unchecked Sendable {
    let session: AddSession
    private let compressors = CompressorTeam(jobs: 1)
    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Int(StoreLimits.largeFile) + 4096, alignment: 4096)
    private(set) var writer: PackWriter?

    init(session: AddSession) { self.session = session }

    deinit { buffer.deallocate() }

    /// A file or link that lies in the buffer.
    private struct Loaded {
        var place: WorkspaceScan.Place
        var status: FileStatus
        var start: Int64
        var range: Range<Int>
    }

    /// Reads, hashes and stores the files of one batch, as many at a time as fit into the buffer.
    func add(_ batch: [WorkspaceScan.Place], of scan: WorkspaceScan) throws -> [HashedFile] {
        var files: [HashedFile] = []
        files.reserveCapacity(batch.count)
        var loaded: [Loaded] = []
        var used = 0
        for place in batch {
            let start = StableRead.now()
            var size = Int(scan.entry(place).byteCount)
            let target = scan.entry(place).kind == .symlink ? try scan.readLink(place) : nil
            let file = target == nil ? try scan.open(place) : nil
            let status = try target?.status ?? file.map { try StableRead.begin($0) }
            guard let status else { continue }
            // The file may have grown since the folder was read.
            size = Int(status.size)
            guard size <= buffer.count else { throw StableRead.changed(scan.displayPath(place)) }
            if used + size > buffer.count {
                files += try store(loaded, of: scan)
                loaded.removeAll(keepingCapacity: true)
                used = 0
            }
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[used..<used + size])
            if let target {
                room.copyBytes(from: target.target)
            } else if let file {
                let count = try file.read(into: room, at: 0)
                try StableRead.end(file, as: status, readCount: Int64(count))
            }
            loaded.append(Loaded(place: place, status: status, start: start, range: used..<used + size))
            used += size
        }
        return files + (try store(loaded, of: scan))
    }

    /// Stores content that is in memory already.
    func add(_ bytes: [UInt8]) throws -> Digest {
        precondition(bytes.count <= buffer.count, "the content is larger than \(buffer.count) bytes")
        buffer.copyBytes(from: bytes)
        let content = UnsafeRawBufferPointer(rebasing: buffer[..<bytes.count])
        let digest = Digest.of(raw: content)
        _ = try store([content], digests: [digest], places: [nil])
        return digest
    }

    private func store(_ loaded: [Loaded], of scan: WorkspaceScan) throws -> [HashedFile] {
        let contents = loaded.map { UnsafeRawBufferPointer(rebasing: buffer[$0.range]) }
        let digests = Digest.ofEach(contents)
        let places = loaded.map { file in
            // A link has no bytes of its own that could be read again as a file's.
            !session.isInPlace || file.status.kind == .symlink
                ? nil : FilePlace(path: scan.recordPath(file.place), offset: 0, status: file.status)
        }
        let tallies = try store(contents, digests: digests, places: places)
        return loaded.indices.map { index in
            let file = loaded[index]
            return HashedFile(
                place: file.place, digest: digests[index], status: file.status,
                isRacy: StableRead.isRacy(file.status, hashedFrom: file.start), tally: tallies[index])
        }
    }

    /// Stores whole files: cuts them, hashes the chunks, writes what is new.
    private func store(
        _ contents: [UnsafeRawBufferPointer], digests: [Digest], places: [FilePlace?]
    ) throws -> [FileTally] {
        var tallies = [FileTally](repeating: FileTally(), count: contents.count)
        var singles: [Int] = []
        for (index, content) in contents.enumerated() where !content.isEmpty {
            let lengths = Chunker.lengths(of: content)
            if lengths.count == 1 {
                singles.append(index)
                continue
            }
            try storeSingles(singles, contents, digests, places, &tallies)
            singles.removeAll(keepingCapacity: true)
            var start = 0
            let slices = lengths.map { length in
                defer { start += length }
                return UnsafeRawBufferPointer(rebasing: content[start..<start + length])
            }
            let chunks = Digest.ofEach(slices)
            let run = PieceRun(content, lengths: lengths.map { UInt32($0) }, digests: chunks)
            let stored = try store(run, compressors: compressors, at: places[index], offset: 0)
            for (length, stored) in zip(lengths, stored) { tallies[index].add(Int64(length), stored: stored) }
            try session.addManifest(
                of: digests[index],
                chunks: zip(chunks, lengths).map { FileManifest.Entry(chunk: $0, byteCount: Int64($1)) })
        }
        try storeSingles(singles, contents, digests, places, &tallies)
        return tallies
    }

    /// Stores files of one chunk; those that lie side by side in memory go together.
    private func storeSingles(
        _ files: [Int], _ contents: [UnsafeRawBufferPointer], _ digests: [Digest], _ places: [FilePlace?],
        _ tallies: inout [FileTally]
    ) throws {
        var position = 0
        while position < files.count {
            var end = position + 1
            while !session.isInPlace, end < files.count,
                contents[files[end]].baseAddress
                    == contents[files[end - 1]].baseAddress.map({ $0 + contents[files[end - 1]].count })
            {
                end += 1
            }
            let members = files[position..<end]
            let byteCount = members.reduce(0) { $0 + contents[$1].count }
            let bytes = UnsafeRawBufferPointer(start: contents[files[position]].baseAddress, count: byteCount)
            let run = PieceRun(
                bytes, lengths: members.map { UInt32(contents[$0].count) }, digests: members.map { digests[$0] })
            let stored = try store(run, compressors: compressors, at: places[files[position]])
            for (file, stored) in zip(members, stored) {
                tallies[file].add(Int64(contents[file].count), stored: stored)
            }
            position = end
        }
    }

    /// Stores the chunks of `run` that are not here; what each took, nil for those that are here.
    ///
    /// - Parameters:
    ///   - place: where the first of the chunks lies in the workspace, all others behind it; used by additions in place.
    ///   - offset: where it begins in its file; nil for files of one chunk.
    ///   - snapshot: the file as nobody can change it any more, if packs may share its blocks.
    func store(
        _ run: PieceRun, compressors: CompressorTeam, at place: FilePlace?, offset: Int64? = nil,
        sharing snapshot: OpenFile? = nil
    ) throws -> [Int?] {
        let isNew = try session.claim(run.keys)
        let fresh = run.keys.indices.filter { isNew[$0] }
        session.count(newBytes: fresh.reduce(0) { $0 + Int64(run.lengths[$1]) }, objects: fresh.count)
        var stored = [Int?](repeating: nil, count: run.keys.count)
        guard !fresh.isEmpty else { return stored }
        if session.isInPlace, let place {
            session.leave(fresh.map { (run.keys[$0].id, Int64(run.starts[$0]), run.lengths[$0]) }, in: place)
            for index in fresh { stored[index] = 0 }
            return stored
        }
        let frames = compressors.compress(fresh.map { run.slice($0) })
        var position = 0
        while position < fresh.count {
            let target = try openWriter()
            let index = fresh[position]
            if let frame = frames[position] {
                try frame.withUnsafeBytes {
                    try target.append(
                        key: run.keys[index], codec: .zstd, plainLength: Int(run.lengths[index]), stored: $0)
                }
                stored[index] = frame.count
                position += 1
            } else {
                // Neighbours that stay as they are go with one write.
                var end = position + 1
                while end < fresh.count, frames[end] == nil, fresh[end] == fresh[end - 1] + 1 { end += 1 }
                let range = index..<fresh[end - 1] + 1
                try target.append(run, range, at: offset.map { $0 + Int64(run.starts[index]) }, sharing: snapshot)
                for index in range { stored[index] = Int(run.lengths[index]) }
                position = end
            }
            try passOnIfFull()
        }
        return stored
    }

    /// A file that shares its blocks with `file` and that nobody else can change, so that packs may share them too; nil where the
    /// file system cannot, and for bytes that will be compressed.
    func snapshot(of file: OpenFile, byteCount: Int64) -> OpenFile? {
        guard !session.isInPlace, hasIncompressibleParts(file, byteCount: byteCount) else { return nil }
        return session.packs.snapshot(of: file)
    }

    /// Whether a sample from one of the file's quarters stays as it is.
    private func hasIncompressibleParts(_ file: OpenFile, byteCount: Int64) -> Bool {
        let length = ChunkSizes.standard.minimum
        let samples = (0..<3).compactMap { number in
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[number * length..<(number + 1) * length])
            let count = try? file.read(into: room, at: byteCount / 4 * Int64(number + 1))
            return count == length ? UnsafeRawBufferPointer(room) : nil
        }
        return compressors.compress(samples).contains { $0 == nil }
    }

    /// The pack that is being written.
    func openWriter() throws -> PackWriter {
        if let writer { return writer }
        let created = try session.packs.writer()
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
    func addManifest(of digest: Digest, chunks: [FileManifest.Entry], midstates: [Digest] = []) throws {
        let (manifest, segments) = FileManifest.make(of: chunks, midstates: midstates)
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

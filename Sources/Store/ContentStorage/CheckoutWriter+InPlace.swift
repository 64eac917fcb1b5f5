internal import Basics
internal import CSystem
internal import Glibc

extension CheckoutWriter {
    /// Writes a large file while its chunks arrive, and notes them where they lie; goes on from what an interrupted call left in
    /// `.mlops/store/incoming/`.
    ///
    /// When this returns, the file is on the disk under its name, and so is the record of its chunks.
    ///
    /// - Returns: false if that cannot be done here: the store is on another disk, or another call is at the same file.
    /// - Throws: kind `.damaged` if the chunks do not make the file.
    func receiveInPlace(
        _ write: CheckoutPlan.Write, below base: String, _ chunks: [FileManifest.Entry],
        from source: (any ChunkSource)?
    ) async throws -> Bool {
        let incoming = IncomingFolder(path: store.incomingPath)
        let placer = FilePlacer(root: folder)
        guard let file = try incoming.open(write.digest),
            try placer.isOnDevice(file.status().device, parentOf: write.path)
        else { return false }
        let root = ContentRoot(digest: write.digest, kind: .file, byteCount: write.byteCount, fileCount: 1)
        try await store.receive(root, at: file.path, from: source, isKeptAtLast: false) { progress }
        try Failpoint.reach("checkout.chmod")
        if try fchmod(file.descriptor, placer.mode(of: write)) != 0 {
            throw MLOpsError.system("set the mode of", file.path, errno: errno)
        }
        try file.synchronize()
        // The record comes first: until the file is where it says, it says nothing, and the next call finds the file here.
        let path = store.recordPath(FileSystem.absolute(FileSystem.join(base, write.path)))
        try record(chunks, in: FilePlace(path: path, offset: 0, status: file.status()))
        noteCounted(write, try placer.move(file.path, to: write))
        return true
    }

    private func record(_ chunks: [FileManifest.Entry], in place: FilePlace) throws {
        // Those in packs need no other place; those of the file that goes away do.
        let isPacked = try store.index.contains(chunks.map { ObjectKey(.chunk, $0.chunk) }, inPacksAlone: true)
        var left = InPlaceFile(place)
        var offset: Int64 = 0
        for (chunk, isPacked) in zip(chunks, isPacked) {
            if !isPacked {
                left.chunks.append(
                    InPlaceChunk(id: chunk.chunk, offset: offset, length: UInt32(chunk.byteCount)))
            }
            offset += chunk.byteCount
        }
        let name = try store.index.inPlace.write([left])
        try store.index.record(packs: [], complete: [], folders: [], inPlace: (name, [left]))
    }
}

extension ContentStore {
    /// Large files that are being pulled in place, each locked with `flock` meanwhile.
    package var incomingPath: String { FileSystem.join(folder, "store/incoming") }
}

/// Large files on their way to where they will stay: named by their digest, so that the next call finds what came of them.
private struct IncomingFolder {
    let path: String

    /// The file that will have `digest`, held while it is open; nil if another process holds it.
    func open(_ digest: Digest) throws -> OpenFile? {
        try FileSystem.createDirectories(path)
        let file = FileSystem.join(path, digest.hex)
        // A second name of a file that is where it should be: that is not to be touched.
        var status = stat()
        if lstat(file, &status) == 0, status.st_nlink > 1 { try FileSystem.removeFile(file) }
        let descriptor = mlops_open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
        if descriptor < 0 { throw MLOpsError.system("create", file, errno: errno) }
        let opened = OpenFile(descriptor: descriptor, path: file)
        return TemporaryFile.hold(descriptor) ? opened : nil
    }
}

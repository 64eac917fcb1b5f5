internal import Basics
internal import Glibc
internal import Synchronization

/// The packs on the disk: `<folder>/ab/<digest>.pack`.
struct PackFolder: Sendable {
    let path: String
    /// Whether a power cut may take what is here; then nothing is flushed.
    var isScratch = false

    /// Groups whose entries this process has flushed; nobody removes a group.
    private static let flushed = Mutex<Set<String>>([])

    func path(of pack: Digest) -> String {
        let hex = pack.hex
        return FileSystem.join(path, "\(hex.prefix(2))/\(hex).pack")
    }

    /// Makes the folder and those above it, and removes what dead processes left in it.
    func prepare() throws {
        if !FileSystem.isDirectory(path) { try FileSystem.createDirectories(path, flushes: !isScratch) }
        TemporaryFile.removeAbandonedOnce(in: path)
    }

    /// Removes temporaries whose process is dead; how many they were.
    @discardableResult
    func removeLeftovers() -> Int {
        TemporaryFile.removeAbandoned(in: path)
    }

    /// The digests that name the packs here.
    func list() throws -> Set<Digest> {
        var packs: Set<Digest> = []
        guard FileSystem.isDirectory(path) else { return packs }
        let doomed = try doomed()
        for group in try FileSystem.list(path) where group.utf8.count == 2 {
            packs.formUnion(try list(group: group).subtracting(doomed))
        }
        return packs
    }

    /// The digests that name the packs in one of the folders `00` to `ff`, doomed ones too; none if the folder is gone.
    func list(group: String) throws -> Set<Digest> {
        let folder = FileSystem.join(path, group)
        do {
            return Set(
                try FileSystem.list(folder).compactMap { $0.hasSuffix(".pack") ? Digest($0.dropLast(5)) : nil })
        } catch let error as MLOpsError where error.kind == .notFound {
            return []
        }
    }

    /// Flushes the entries of packs that were found here: their writer may have died before it did, and whoever sees a pack
    /// in the index counts on it.
    func synchronize(_ packs: Set<Digest>) throws {
        if isScratch { return }
        for group in Set(packs.map { FileSystem.parent(of: path(of: $0)) }) where FileSystem.isDirectory(group) {
            try FileSystem.synchronizeDirectory(group)
        }
        if !packs.isEmpty { try FileSystem.synchronizeDirectory(path) }
    }

    /// Starts a pack that is to be installed here.
    func writer() throws -> PackWriter { try PackWriter(folder: path, for: isScratch ? .scratch : .kept) }

    /// Gives a finished pack its name: rename, then flush the folders, so that it stays after a power cut. After an error no
    /// temporary is left.
    func install(temporary: String, as digest: Digest) throws {
        let destination = path(of: digest)
        let group = FileSystem.parent(of: destination)
        do {
            if !FileSystem.isDirectory(group) { try FileSystem.createDirectories(group, flushes: !isScratch) }
            try Failpoint.reach("pack.rename")
            try FileSystem.rename(temporary, to: destination)
            if isScratch { return }
            try FileSystem.synchronizeDirectory(group)
            // The group may have been made by a process that died before it could flush this. Once it is, it is for good.
            if !PackFolder.flushed.withLock({ $0.contains(group) }) {
                try FileSystem.synchronizeDirectory(path)
                PackFolder.flushed.withLock { _ = $0.insert(group) }
            }
        } catch {
            unlink(temporary)
            throw error
        }
    }
}

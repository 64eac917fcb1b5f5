internal import Basics
internal import Glibc

/// The packs on the disk: `<folder>/ab/<digest>.pack`.
struct PackFolder: Sendable {
    let path: String

    func path(of pack: Digest) -> String {
        let hex = pack.hex
        return FileSystem.join(path, "\(hex.prefix(2))/\(hex).pack")
    }

    /// Makes the folder and those above it, and removes what dead processes left in it.
    func prepare() throws {
        if !FileSystem.isDirectory(path) { try FileSystem.createDirectories(path) }
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
            for name in try FileSystem.list(FileSystem.join(path, group)) where name.hasSuffix(".pack") {
                if let digest = Digest(name.dropLast(5)), !doomed.contains(digest) { packs.insert(digest) }
            }
        }
        return packs
    }

    /// Flushes the entries of packs that were found here: their writer may have died before it did, and whoever sees a pack
    /// in the index counts on it.
    func synchronize(_ packs: Set<Digest>) throws {
        for group in Set(packs.map { FileSystem.parent(of: path(of: $0)) }) where FileSystem.isDirectory(group) {
            try FileSystem.synchronizeDirectory(group)
        }
        if !packs.isEmpty { try FileSystem.synchronizeDirectory(path) }
    }

    /// Gives a finished pack its name: rename, then flush the folders, so that it stays after a power cut. After an error no
    /// temporary is left.
    func install(temporary: String, as digest: Digest) throws {
        let destination = path(of: digest)
        let group = FileSystem.parent(of: destination)
        do {
            if !FileSystem.isDirectory(group) { try FileSystem.createDirectories(group) }
            try Failpoint.reach("pack.rename")
            try FileSystem.rename(temporary, to: destination)
            try FileSystem.synchronizeDirectory(group)
            // The group may have been made by a process that died before it could flush this.
            try FileSystem.synchronizeDirectory(path)
        } catch {
            unlink(temporary)
            throw error
        }
    }
}

internal import Basics
internal import Glibc

/// The packs on the disk: `<folder>/ab/<digest>.pack`.
struct PackFolder: Sendable {
    let path: String

    func path(of pack: Digest) -> String {
        let hex = pack.hex
        return FileSystem.join(path, "\(hex.prefix(2))/\(hex).pack")
    }

    /// Makes the folder and those above it.
    func prepare() throws {
        if !FileSystem.isDirectory(path) { try FileSystem.createDirectories(path) }
    }

    /// Removes temporaries whose process is dead: writers hold a lock, and what others download grows.
    @discardableResult
    func removeLeftovers(olderThan age: Duration = .seconds(600)) throws -> Int {
        var count = 0
        let oldest = StableRead.now() - Int64(age.seconds * 1e9)
        for name in try FileSystem.list(path) where name.hasSuffix(".mlops-tmp") {
            let temporary = FileSystem.join(path, name)
            guard let status = try FileStatus.of(temporary), status.modificationNanoseconds < oldest,
                let file = try? OpenFile(reading: temporary), flock(file.descriptor, LOCK_EX | LOCK_NB) == 0
            else { continue }
            try FileSystem.removeFile(temporary)
            count += 1
        }
        return count
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

    /// Gives a finished pack its name: rename, then flush the folders, so that it stays after a power cut.
    func install(temporary: String, as digest: Digest) throws {
        let destination = path(of: digest)
        let group = FileSystem.parent(of: destination)
        let isNewGroup = !FileSystem.isDirectory(group)
        if isNewGroup { try FileSystem.createDirectories(group) }
        try Failpoint.reach("pack.rename")
        try FileSystem.rename(temporary, to: destination)
        try FileSystem.synchronizeDirectory(group)
        if isNewGroup { try FileSystem.synchronizeDirectory(path) }
    }
}

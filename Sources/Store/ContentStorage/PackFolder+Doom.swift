internal import Basics
internal import Glibc

extension PackFolder {
    /// The list of packs that a sweep is removing. While it is there its packs count as gone, so that all of them go at once,
    /// whatever stops the sweep.
    var doomPath: String { FileSystem.join(FileSystem.parent(of: path), "doomed") }

    /// The packs on the list.
    func doomed() throws -> Set<Digest> {
        guard FileSystem.exists(doomPath) else { return [] }
        do {
            return Set(try FileSystem.readText(doomPath).split(separator: "\n").compactMap { Digest($0) })
        } catch let error as MLOpsError where error.kind == .notFound {
            return []
        }
    }

    /// Puts packs on the list: from here on they are gone.
    func doom(_ packs: [Digest]) throws {
        try Failpoint.reach("gc.doom")
        let text = packs.map { $0.hex + "\n" }.joined()
        try FileSystem.replace(doomPath, with: Array(text.utf8))
    }

    /// Removes the packs on the list, and then the list; only while nobody adds.
    func finishDoom() throws {
        let doomed = try doomed()
        try remove(doomed.sorted())
        guard FileSystem.exists(doomPath) else { return }
        try Failpoint.reach("gc.undoom")
        try FileSystem.removeFile(doomPath)
        try FileSystem.synchronizeDirectory(FileSystem.parent(of: doomPath))
    }

    /// Removes packs, and flushes their folders.
    func remove(_ packs: [Digest]) throws {
        var groups: Set<String> = []
        for pack in packs {
            let path = path(of: pack)
            guard FileSystem.exists(path) else { continue }
            try Failpoint.reach("gc.remove")
            try FileSystem.removeFile(path)
            groups.insert(FileSystem.parent(of: path))
        }
        for group in groups.sorted() { try FileSystem.synchronizeDirectory(group) }
    }
}

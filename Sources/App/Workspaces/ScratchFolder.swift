internal import Basics
internal import ContentStorage
internal import Glibc

/// A hidden folder beside or in a destination, with a store for what was fetched; it goes away once the destination is right.
///
/// A call that ends before that leaves it for the next one. Its `boot` is written first and removed first, so that without it
/// the rest is of no use.
struct ScratchFolder: Sendable {
    let path: String
    let store: ContentStore
    private let lock: FileLock

    /// Beside what is to get the name `target`.
    init(beside target: String) async throws {
        try await self.init(
            at: FileSystem.join(FileSystem.parent(of: target), ".\(FileSystem.name(of: target)).mlops-get"))
    }

    /// In the folder `target`, which may be a disk of its own.
    init(in target: String) async throws {
        try await self.init(at: FileSystem.join(target, ScratchFolder.innerName))
    }

    private init(at path: String) async throws {
        self.path = path
        try ScratchFolder.refuseForeign(path)
        try FileSystem.createDirectories(path, mode: 0o700, flushes: false)
        lock = try await ScratchFolder.lock(path)
        try ScratchFolder.forgetEarlierBoots(path)
        store = try ContentStore(folder: FileSystem.join(path, ScratchFolder.storeName), isScratch: true)
    }

    private static func lock(_ path: String) async throws -> FileLock {
        try await FileLock(FileSystem.join(path, "lock"), .exclusive, timeout: .seconds(2))
    }

    /// Takes back what a call that was killed had moved into the folder `target`, and removes what it had no time to remove.
    static func settle(in target: String) async throws {
        let path = FileSystem.join(target, innerName)
        guard FileSystem.exists(path) else { return }
        try refuseForeign(path)
        let lock = try await lock(path)
        defer { withExtendedLifetime(lock) {} }
        if !FileSystem.exists(FileSystem.join(path, bootName)) { return try FileSystem.removeTree(path) }
        try takeBack(from: target, into: path)
    }

    /// Removes what was fetched before the machine started: it was not flushed, so a power cut may have left it in part.
    private static func forgetEarlierBoots(_ path: String) throws {
        let note = FileSystem.join(path, bootName)
        let boot = MachineStart.id ?? ""
        if !boot.isEmpty, (try? FileSystem.readText(note)) == boot { return }
        try FileSystem.removeTree(FileSystem.join(path, storeName))
        try FileSystem.replaceUnflushed(note, with: Array(boot.utf8))
    }

    /// Refuses what no earlier call left: a repository may have brought a link along, which leads out of the folder.
    private static func refuseForeign(_ path: String) throws {
        guard let status = try FileStatus.of(path) else { return }
        func hasLink(_ path: String) throws -> Bool {
            switch try FileStatus.of(path)?.kind {
            case .symlink: true
            case .directory: try FileSystem.list(path).contains { try hasLink(FileSystem.join(path, $0)) }
            default: false
            }
        }
        let isOurs =
            try status.kind == .directory && status.permissions & 0o077 == 0
            && !["lock", bootName, storeName, partialName, placingName].contains {
                try hasLink(FileSystem.join(path, $0))
            }
        if !isOurs { throw foreign(path) }
    }

    private static func foreign(_ path: String) -> MLOpsError {
        MLOpsError(
            .failed, "`\(printable(path))` is not what an earlier `mlops get` left there",
            hint: "see what it is with `ls -la`, and remove it")
    }

    /// Its name in a folder that is filled.
    private static let innerName = ".mlops-get"
    private static let storeName = ".mlops"
    /// Which boot of the machine the store is of.
    private static let bootName = "boot"
    /// What has come of a large file.
    private static let partialName = "partial"
    private static let contentName = "content"
    /// What the destination held before.
    private static let oldName = "old"
    /// What is on its way from `content` into a folder: names and the numbers of their inodes, which nobody can plant.
    private static let placingName = "placing"

    /// Where the content is put together.
    var finishedPath: String { FileSystem.join(path, ScratchFolder.contentName) }

    private var oldPath: String { FileSystem.join(path, ScratchFolder.oldName) }

    /// Whether an interrupted call has left a scratch folder in the folder `target`.
    static func isLeft(in target: String) -> Bool { FileSystem.exists(FileSystem.join(target, innerName)) }

    /// What the folder `target` holds, but for a scratch folder.
    static func others(in target: String) throws -> [String] {
        try FileSystem.list(target).filter { $0 != innerName }
    }

    /// Refuses a repository or a project as the folder that is filled: nobody wants it to go away.
    static func refuseProject(_ target: String) throws {
        guard let own = try others(in: target).first(where: { [".git", ".mlops"].contains($0) }) else { return }
        throw MLOpsError(
            .failed, "`\(target)` holds `\(own)`, which would go away with all else in it",
            hint: "name a folder inside of it")
    }

    static func holdsOther(_ path: String) -> MLOpsError {
        MLOpsError(
            .failed, "`\(path)` exists and holds something else",
            hint: "name another path, or repeat the command with `--force` to replace it")
    }

    /// Checks `content` out, flushes it, and gives it its name, or its parts theirs in a folder that is there.
    ///
    /// - Throws: kind `.failed` if something came to lie in that folder meanwhile, and `replaces` is not set.
    func place(
        _ content: ContentRoot, isExecutable: Bool, at target: String, replaces: Bool, progress: ProgressHandler?,
        _ source: (any ChunkSource)?
    ) async throws {
        var finished = finishedPath
        try FileSystem.removeTree(finished)
        if let source, content.kind == .file {
            // No store needs to hold a large file that is wanted once.
            finished = FileSystem.join(path, ScratchFolder.partialName)
            try await store.receive(content, at: finished, from: source, progress: progress)
        } else {
            try await store.checkout(
                content, to: finished, options: CheckoutOptions(force: true, progress: progress, source: source))
        }
        if isExecutable, chmod(finished, 0o755) != 0 {
            throw MLOpsError.system("set the mode of", finished, errno: errno)
        }
        if content.kind == .file {
            try OpenFile(reading: finished).synchronize()
        } else {
            try OpenFile(reading: path).synchronizeFileSystem()
        }
        try FileSystem.removeTree(oldPath)
        if content.kind == .tree, FileSystem.isDirectory(target) {
            try fill(target, replaces: replaces)
        } else {
            try swap(finished, to: target, isFile: content.kind == .file)
        }
        try remove()
    }

    private func swap(_ finished: String, to target: String, isFile: Bool) throws {
        // A file alone goes away with the rename of a file over it.
        let isInTheWay = isFile ? FileSystem.isDirectory(target) : FileSystem.exists(target)
        if isInTheWay { try FileSystem.rename(target, to: oldPath) }
        do {
            try FileSystem.rename(finished, to: target)
        } catch {
            if isInTheWay { try? FileSystem.rename(oldPath, to: target) }
            throw error
        }
        try FileSystem.synchronizeDirectory(FileSystem.parent(of: target))
    }

    /// Moves what was put together into the folder `target`, which stays itself: it may be a disk, or where a shell is.
    private func fill(_ target: String, replaces: Bool) throws {
        let (old, new) = (try ScratchFolder.others(in: target), try FileSystem.list(finishedPath))
        guard replaces || old.isEmpty else { throw ScratchFolder.holdsOther(target) }
        try ScratchFolder.refuseProject(target)
        guard !new.contains(ScratchFolder.innerName) else {
            throw MLOpsError(
                .failed,
                "the version holds `\(ScratchFolder.innerName)`, which cannot be put into a folder that is there",
                hint: "name a path that does not exist yet")
        }
        try FileSystem.createDirectories(oldPath, flushes: false)
        let moves = try new.map { name -> JSONValue in
            let inode = try FileStatus.of(FileSystem.join(finishedPath, name))?.inode ?? 0
            return [.string(name), .int(Int64(truncatingIfNeeded: inode))]
        }
        let note = JSONValue.array(moves).canonicalBytes
        try FileSystem.replace(FileSystem.join(path, ScratchFolder.placingName), with: note)
        do {
            for name in old { try FileSystem.rename(FileSystem.join(target, name), to: FileSystem.join(oldPath, name)) }
            for name in new {
                try FileSystem.rename(FileSystem.join(finishedPath, name), to: FileSystem.join(target, name))
            }
            try FileSystem.synchronizeDirectory(target)
        } catch {
            try? ScratchFolder.takeBack(from: target, into: path)
            throw error
        }
    }

    /// Undoes what `fill` did until then.
    private static func takeBack(from target: String, into path: String) throws {
        let note = FileSystem.join(path, placingName)
        guard FileSystem.exists(note) else { return }
        let (content, old) = (FileSystem.join(path, contentName), FileSystem.join(path, oldName))
        guard try [content, old].allSatisfy({ try FileStatus.of($0)?.kind == .directory }) else { throw foreign(path) }
        for move in try JSONValue(parsing: try FileSystem.read(note), source: note).array ?? [] {
            guard let name = move.array?.first?.string, pathParts(name).count == 1 else { continue }
            let (place, own) = (FileSystem.join(target, name), FileSystem.join(content, name))
            guard let inode = try FileStatus.of(place)?.inode, !FileSystem.exists(own) else { continue }
            if move.array?.last == .int(Int64(truncatingIfNeeded: inode)) { try FileSystem.rename(place, to: own) }
        }
        for name in try FileSystem.list(old) {
            let place = FileSystem.join(target, name)
            if !FileSystem.exists(place) { try FileSystem.rename(FileSystem.join(old, name), to: place) }
        }
        try FileSystem.removeFile(note)
    }

    /// Whether the destination is between its old and its new content.
    var isPlacing: Bool { FileSystem.exists(FileSystem.join(path, ScratchFolder.placingName)) }

    func remove() throws {
        // From here on there is nothing to take back.
        try FileSystem.removeFile(FileSystem.join(path, ScratchFolder.bootName))
        try FileSystem.removeTree(path)
    }
}

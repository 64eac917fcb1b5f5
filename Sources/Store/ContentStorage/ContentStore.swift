internal import Basics
internal import CSystem
internal import Glibc
internal import Synchronization

/// The content of datasets and models below `.mlops/`, in chunks, each stored once.
///
/// Whatever it gives out has been compared with its digest. Every method may be called from any task.
package final class ContentStore: Sendable {
    /// The `.mlops` folder, absolute.
    package let folder: String
    let packs: PackFolder
    let index: ContentIndex
    /// Open packs, few enough for any limit on open files.
    private let openPacks = Mutex<[Digest: OpenFile]>([:])
    let heldLease = Mutex(HeldLease())
    /// For chunks that leave the workspace without having been in a pack.
    private let spareCompressors = Mutex<[Compressor]>([])

    /// The store below `folder`, which is made on the first write; opening costs nothing.
    ///
    /// - Parameter isScratch: whether nobody wants its content after a power cut: then nothing is flushed, and the index lives in
    ///   memory.
    package init(folder: String, isScratch: Bool = false) throws {
        let folder = FileSystem.absolute(folder)
        self.folder = folder
        packs = PackFolder(path: FileSystem.join(folder, "store/packs"), isScratch: isScratch)
        index = ContentIndex(path: FileSystem.join(folder, "index.sqlite"), packs: packs)
    }

    /// Whether nobody wants its content after a power cut.
    package var isScratch: Bool { packs.isScratch }

    // MARK: The workspace

    /// Opens the file or folder at `path` for scanning.
    ///
    /// - Throws: kind `.notFound`; `.usage` if it is a link, or anything else that is no file or folder.
    func workspaceRoot(_ path: String) throws -> WorkspaceRoot {
        let absolute = FileSystem.absolute(path)
        guard let status = try FileStatus.of(absolute) else {
            throw MLOpsError(.notFound, "`\(path)` does not exist", hint: "check the name with `ls`")
        }
        switch status.kind {
        case .directory:
            return WorkspaceRoot(
                displayPath: path, recordPath: recordPath(absolute),
                directory: try openFolder(absolute, displayPath: path), fileName: nil)
        case .file:
            let parent = FileSystem.parent(of: absolute)
            return WorkspaceRoot(
                displayPath: path, recordPath: recordPath(absolute),
                directory: try openFolder(parent, displayPath: path), fileName: FileSystem.name(of: absolute))
        case .symlink:
            throw MLOpsError(
                .usage, "`\(path)` is a symbolic link", hint: "name the file or folder that it points to")
        case .other:
            throw MLOpsError(
                .usage, "`\(path)` is not a regular file, a folder or a link",
                hint: "move the pipe, socket or device elsewhere")
        }
    }

    /// Opens a folder; inside the project no part of the path may be a link.
    func openFolder(_ absolute: String, displayPath: String) throws -> OpenFile {
        let project = FileSystem.parent(of: folder)
        let descriptor: Int32
        if absolute == project || !isBelow(absolute, project) {
            descriptor = mlops_open(absolute, O_RDONLY | O_DIRECTORY, 0)
        } else {
            let base = mlops_open(project, O_RDONLY | O_DIRECTORY, 0)
            if base < 0 { throw MLOpsError.system("open", project, errno: errno) }
            defer { close(base) }
            let prefix = project == "/" ? 1 : project.utf8.count + 1
            descriptor = mlops_open_beneath(
                base, String(decoding: absolute.utf8.dropFirst(prefix), as: UTF8.self), O_RDONLY | O_DIRECTORY, 0)
        }
        if descriptor >= 0 { return OpenFile(descriptor: descriptor, path: absolute) }
        guard errno == ELOOP || errno == EXDEV else { throw MLOpsError.system("open", displayPath, errno: errno) }
        throw MLOpsError(
            .usage, "`\(displayPath)` lies behind a symbolic link", hint: "name the folder that the link points to")
    }

    private func isBelow(_ path: String, _ folder: String) -> Bool {
        folder == "/" || path.utf8.starts(with: (folder + "/").utf8)
    }

    /// The key in the stat cache: relative inside the project, so that the project can move.
    func recordPath(_ absolute: String) -> String {
        let project = FileSystem.parent(of: folder)
        if absolute == project { return "." }
        guard project != "/", isBelow(absolute, project) else { return absolute }
        return String(decoding: absolute.utf8.dropFirst(project.utf8.count + 1), as: UTF8.self)
    }

    // MARK: Packs

    /// The open pack.
    ///
    /// - Throws: kind `.damaged` if it is gone.
    func openPack(_ pack: Digest) throws -> OpenFile {
        if let file = openPacks.withLock({ $0[pack] }) { return file }
        do {
            let file = try OpenFile(reading: packs.path(of: pack))
            openPacks.withLock { open in
                if open.count >= 32 { open.removeAll() }
                open[pack] = file
            }
            return file
        } catch let error as MLOpsError where error.kind == .notFound {
            throw MLOpsError(.damaged, "pack `\(pack)` is missing", hint: healingHint, cause: error)
        }
    }

    /// The stored bytes of an object, unproven.
    func storedFrame(_ key: ObjectKey, at location: ObjectLocation) throws -> PackFrame {
        let file = try openPack(location.pack)
        let stored = try file.read(count: location.storedLength, at: location.offset)
        return PackFrame(
            key: key, codec: location.codec, plainLength: location.plainLength, stored: stored, check: location.check)
    }

    /// `body` with the object's place; when that fails because the index was wrong, the index is rebuilt and `body` tried
    /// once more. A chunk that was left in the workspace is given to `inPlace` instead, proven.
    func withLocation<Result>(
        of key: ObjectKey, inPlace: ([UInt8]) throws -> Result, _ body: (ObjectLocation) throws -> Result
    ) throws -> Result {
        guard let location = try index.locate([key])[0] else {
            guard key.kind == .chunk, let place = try index.placesInWorkspace([key.id])[0] else {
                throw ContentStore.missing(key)
            }
            return try inPlace(try read(key, inPlace: place))
        }
        return try atTrueLocation(of: key, from: location, body)
    }

    /// `body` with the object's place, of which the index says that it is `location`; where that is wrong, as `withLocation`.
    private func atTrueLocation<Result>(
        of key: ObjectKey, from location: ObjectLocation, _ body: (ObjectLocation) throws -> Result
    ) throws -> Result {
        do {
            return try body(location)
        } catch let error as MLOpsError where error.kind == .damaged {
            guard try !isTrue(location, for: key) else { throw error }
            // A collection may have moved it just now; then the index is right already.
            if let moved = try index.locate([key])[0], moved != location, try isTrue(moved, for: key) {
                return try body(moved)
            }
            _ = try rebuild()
            guard let location = try index.locate([key])[0] else { throw ContentStore.missing(key) }
            return try body(location)
        }
    }

    /// Whether the pack itself says that the object lies there.
    private func isTrue(_ location: ObjectLocation, for key: ObjectKey) throws -> Bool {
        guard let file = try? OpenFile(reading: packs.path(of: location.pack)) else { return false }
        // A pack whose footer is broken is damaged; the index cannot be blamed.
        guard let entries = try? PackReader.readFooter(of: file).entries else { return true }
        return entries.contains {
            $0.key == key && $0.offset == location.offset && $0.codec == location.codec
                && $0.storedLength == location.storedLength && $0.plainLength == location.plainLength
        }
    }

    /// `body`; when it finds something missing or broken it is tried once more with an index made anew from the packs, since
    /// that alone may be what is wrong.
    func withTrueIndex<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as MLOpsError where error.kind == .damaged {
            _ = try rebuild()
            return try await body()
        }
    }

    /// Lets go of all packs, some of which were removed.
    func closePacks() { openPacks.withLock { $0.removeAll() } }

    func rebuild() throws -> RebuildReport {
        closePacks()
        return try index.rebuild()
    }

    /// The proven plain bytes of an object.
    func plain(_ key: ObjectKey) throws -> [UInt8] {
        try withLocation(of: key, inPlace: { $0 }) { try storedFrame(key, at: $0).decoded() }
    }

    /// The proven plain bytes of an object that the index has just placed at `location`.
    func plain(_ key: ObjectKey, at location: ObjectLocation) throws -> [UInt8] {
        try atTrueLocation(of: key, from: location) { try storedFrame(key, at: $0).decoded() }
    }

    /// `plain` as a pack would have it.
    func packed(_ key: ObjectKey, _ plain: [UInt8]) -> PackFrame {
        let compressor = spareCompressors.withLock { $0.popLast() } ?? Compressor()
        defer { spareCompressors.withLock { $0.append(compressor) } }
        guard let stored = plain.withUnsafeBytes({ compressor.compress($0) }) else {
            return PackFrame(key: key, codec: .raw, plainLength: plain.count, stored: plain)
        }
        return PackFrame(key: key, codec: .zstd, plainLength: plain.count, stored: stored)
    }

    static func missing(_ key: ObjectKey) -> MLOpsError {
        MLOpsError(
            .damaged, "\(key.kind) `\(key.id)` is not in the store",
            hint: "run `mlops pull` or `mlops fsck --heal` to fetch it from a remote")
    }
}

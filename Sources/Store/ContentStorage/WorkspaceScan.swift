internal import Basics
internal import CSystem
internal import Glibc

/// A file or folder of the workspace, opened so that nothing outside of it can be reached through links.
struct WorkspaceRoot: Sendable {
    /// As the caller named it, for errors.
    let displayPath: String
    /// The key of its rows in the stat cache.
    let recordPath: String
    /// The folder to open files in: the root itself, or the folder that holds the one file.
    let directory: OpenFile
    /// The name of the one file in `directory`; nil for a folder.
    let fileName: String?

    /// Opens the file `path`, relative to the root, `""` for a single file.
    func open(_ path: String, flags: Int32) throws -> OpenFile {
        let name = fileName ?? path
        let display = fileName == nil ? FileSystem.join(displayPath, path) : displayPath
        let descriptor = mlops_open_beneath(directory.descriptor, name.isEmpty ? "." : name, flags, 0)
        if descriptor < 0 {
            let failure = errno
            guard failure == ELOOP || failure == EXDEV else { throw MLOpsError.system("open", display, errno: failure) }
            throw MLOpsError(.failed, "`\(display)` became a symbolic link while it was read")
        }
        return OpenFile(descriptor: descriptor, path: display)
    }

    /// The target of the link `path`, as bytes.
    func linkTarget(_ path: String) throws -> [UInt8] {
        let parent = FileSystem.parent(of: path)
        let folder = try open(parent == "." ? "" : parent, flags: O_RDONLY | O_DIRECTORY)
        var target = [CChar](repeating: 0, count: 4097)
        let count = readlinkat(folder.descriptor, FileSystem.name(of: path), &target, target.count)
        if count < 0 { throw MLOpsError.system("read the link", FileSystem.join(displayPath, path), errno: errno) }
        return target[..<count].map { UInt8(bitPattern: $0) }
    }
}

/// All files below a root, with the digests that are known without reading them.
// @unchecked: folders are worked on by one task at a time.
final class WorkspaceScan: @unchecked Sendable {
    /// A file of the scan.
    struct Place: Hashable, Sendable {
        var folder: Int
        var entry: Int
    }

    let root: WorkspaceRoot
    /// Parents before their children; the first is the root. For a single file one folder with one entry.
    private(set) var folders: [ScannedFolder]
    let isFile: Bool

    private init(root: WorkspaceRoot, isFile: Bool) {
        self.root = root
        self.isFile = isFile
        folders = [ScannedFolder(path: "")]
    }

    /// Reads the folders below `root`, in parallel, and asks the stat cache.
    ///
    /// - Parameter keepsSpecial: whether pipes, sockets and devices are kept as such; otherwise they are refused, unopened.
    static func make(
        of root: WorkspaceRoot, index: ContentIndex, jobs: Int, keepsSpecial: Bool = false
    ) async throws -> WorkspaceScan {
        let scan = WorkspaceScan(root: root, isFile: root.fileName != nil)
        if let name = root.fileName {
            try scan.scanFile(name, index: index)
            return scan
        }
        var level = [0]
        while !level.isEmpty {
            // Small enough that no processor waits long for another, large enough for the stat cache to answer at once.
            let size = max(1, min(64, level.count / (jobs * 8)))
            let batches = stride(from: 0, to: level.count, by: size).map {
                Array(level[$0..<min($0 + size, level.count)])
            }
            _ = try await mapConcurrently(batches, width: jobs) { batch in
                try await scan.read(batch, index: index, jobs: jobs, keepsSpecial: keepsSpecial)
            }
            level = scan.appendChildren(of: level)
        }
        return scan
    }

    private func scanFile(_ name: String, index: ContentIndex) throws {
        let folder = folders[0]
        try folder.setSingle(name: name, in: root.directory.descriptor, displayPath: root.displayPath)
        if folder.entries[0].isSpecial { throw WorkspaceScan.special(root.displayPath) }
        if let record = try index.folderRecords([root.recordPath])[0] { folder.match(record) }
        noteEmptyFiles(folder)
    }

    private func read(_ batch: [Int], index: ContentIndex, jobs: Int, keepsSpecial: Bool) async throws {
        let records = try index.folderRecords(batch.map { recordKey(folders[$0]) })
        for (number, record) in zip(batch, records) {
            let folder = folders[number]
            let display = folder.path.isEmpty ? root.displayPath : FileSystem.join(root.displayPath, folder.path)
            let directory = try root.open(folder.path, flags: O_RDONLY | O_DIRECTORY)
            try folder.readNames(directory.descriptor, displayPath: display)
            let count = folder.entries.count
            let slice = count > 8192 ? (count + jobs - 1) / jobs : max(1, count)
            let slices = stride(from: 0, to: count, by: slice).map { $0..<min($0 + slice, count) }
            let filled = try await mapConcurrently(slices, width: jobs) {
                try folder.statuses($0, in: directory.descriptor, displayPath: display)
            }
            folder.entries = filled.count == 1 ? filled[0] : filled.flatMap { $0 }
            if !keepsSpecial, let special = folder.entries.firstIndex(where: \.isSpecial) {
                throw WorkspaceScan.special(FileSystem.join(display, folder.name(special)))
            }
            if let record { folder.match(record) }
            noteEmptyFiles(folder)
        }
    }

    private func noteEmptyFiles(_ folder: ScannedFolder) {
        for (index, entry) in folder.entries.enumerated()
        where entry.byteCount == 0 && (entry.kind == .file || entry.kind == .executable) && !entry.isSpecial {
            folder.entries[index].digest = emptyContent
            folder.entries[index].isKnown = true
        }
    }

    private func appendChildren(of level: [Int]) -> [Int] {
        var children: [Int] = []
        for number in level {
            let folder = folders[number]
            for (index, entry) in folder.entries.enumerated() where entry.kind == .tree && !entry.isSpecial {
                folder.entries[index].child = folders.count
                children.append(folders.count)
                folders.append(ScannedFolder(path: folder.path(of: index)))
            }
        }
        return children
    }

    private static func special(_ path: String) -> MLOpsError {
        MLOpsError(
            .usage, "`\(path)` is not a regular file, a folder or a link",
            hint: "move the pipe, socket or device elsewhere")
    }

    /// The files whose digests are not known, in the order of their paths within each folder.
    var unknown: [Place] {
        folders.indices.flatMap { number in
            folders[number].entries.indices.compactMap { index in
                let entry = folders[number].entries[index]
                return entry.isKnown || entry.kind == .tree || entry.isSpecial
                    ? nil : Place(folder: number, entry: index)
            }
        }
    }

    func entry(_ place: Place) -> ScannedEntry { folders[place.folder].entries[place.entry] }

    /// The path below the root.
    func path(_ place: Place) -> String { isFile ? "" : folders[place.folder].path(of: place.entry) }

    /// For errors.
    func displayPath(_ place: Place) -> String {
        isFile ? root.displayPath : FileSystem.join(root.displayPath, path(place))
    }

    /// Takes what reading a file gave.
    func note(_ file: HashedFile) {
        let folder = folders[file.place.folder]
        var entry = folder.entries[file.place.entry]
        entry.take(file.status)
        entry.digest = file.digest
        entry.isKnown = true
        entry.isRacy = file.isRacy
        folder.entries[file.place.entry] = entry
        folder.needsSaving = true
    }

    /// Works out the listings from the bottom up; `visit` gets the listing of each folder that is not as recorded.
    func summarize(_ visit: (ScannedFolder, [UInt8]) -> Void = { _, _ in }) {
        if isFile {
            let entry = folders[0].entries[0]
            folders[0].summary = FolderRecord.Summary(digest: entry.digest, byteCount: entry.byteCount, fileCount: 1)
            return
        }
        for folder in folders.reversed() {
            for (index, entry) in folder.entries.enumerated() where entry.child >= 0 {
                guard let below = folders[entry.child].summary else { continue }
                if !entry.isKnown || entry.digest != below.digest { folder.needsSaving = true }
                folder.entries[index].digest = below.digest
                folder.entries[index].byteCount = below.byteCount
                folder.entries[index].fileCount = below.fileCount
                folder.entries[index].isKnown = true
            }
            if !folder.needsSaving, let recorded = folder.recorded {
                folder.summary = recorded
                continue
            }
            let listing = folder.listing()
            folder.summary = FolderRecord.Summary(
                digest: Digest.of(listing), byteCount: folder.entries.reduce(0) { $0 + $1.byteCount },
                fileCount: folder.entries.reduce(0) { $0 + $1.fileCount })
            visit(folder, listing)
        }
    }

    /// What the scanned content is, after `summarize`.
    var content: ContentRoot {
        if isFile {
            let entry = folders[0].entries[0]
            return ContentRoot(digest: entry.digest, kind: .file, byteCount: entry.byteCount, fileCount: 1)
        }
        let summary = folders[0].summary ?? FolderRecord.Summary(digest: emptyContent, byteCount: 0, fileCount: 0)
        return ContentRoot(
            digest: summary.digest, kind: .tree, byteCount: summary.byteCount, fileCount: summary.fileCount)
    }

    /// The path of a file as the stat cache has it.
    func recordPath(_ place: Place) -> String {
        isFile
            ? root.recordPath
            : FileSystem.join(recordKey(folders[place.folder]), folders[place.folder].name(place.entry))
    }

    private func recordKey(_ folder: ScannedFolder) -> String {
        folder.path.isEmpty ? root.recordPath : FileSystem.join(root.recordPath, folder.path)
    }

    /// The changes of the stat cache.
    var updates: [FolderUpdate] {
        var updates: [FolderUpdate] = []
        for folder in folders where folder.needsSaving && !folder.entries.contains(where: \.isSpecial) {
            updates += folder.goneFolders.map { .remove(path: FileSystem.join(root.recordPath, $0)) }
            updates.append(.save(path: recordKey(folder), record: folder.record()))
        }
        return updates
    }
}

/// What reading a file gave.
struct HashedFile: Sendable {
    var place: WorkspaceScan.Place
    var digest: Digest
    var status: FileStatus
    var isRacy: Bool
    /// What an addition did with it.
    var tally = FileTally()
}

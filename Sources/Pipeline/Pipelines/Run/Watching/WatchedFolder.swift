internal import Basics

/// What tells a changed file from an unchanged one without reading it.
struct FileStamp: Hashable, Sendable {
    var size: Int64
    var modified: Int64
    var changed: Int64
    var inode: UInt64

    init(size: Int64, modified: Int64, changed: Int64, inode: UInt64) {
        self.size = size
        self.modified = modified
        self.changed = changed
        self.inode = inode
    }

    init(_ status: FileStatus) {
        size = status.size
        modified = status.modificationNanoseconds
        changed = status.changeNanoseconds
        inode = status.inode
    }
}

/// A folder as it was when it was last looked at: what in it is watched.
struct WatchedFolder: Sendable {
    /// Of the folder itself: the same stamp means the same names.
    var stamp: FileStamp?
    var files: [String: FileStamp] = [:]
    private(set) var folders: [String] = []
    /// Names that are watched nowhere, such as declared outputs: their content is of no interest.
    private var skipped: Set<String> = []
    /// Of all names above.
    private var hashes: Set<UInt64> = []

    /// How many names are known.
    var nameCount: Int { files.count + folders.count + skipped.count }

    /// Whether a name, as the file system has it, is one of those.
    func knows(_ name: UnsafeRawBufferPointer) -> Bool { hashes.contains(WatchedFolder.hash(name)) }

    func knows(_ name: String) -> Bool { hashes.contains(WatchedFolder.hash(name)) }

    /// Forgets a name; whether it was a file that was watched.
    mutating func forget(_ name: String) -> Bool {
        guard hashes.remove(WatchedFolder.hash(name)) != nil else { return false }
        skipped.remove(name)
        folders.removeAll { $0 == name }
        return files.removeValue(forKey: name) != nil
    }

    mutating func add(file name: String, _ stamp: FileStamp) {
        files[name] = stamp
        hashes.insert(WatchedFolder.hash(name))
    }

    mutating func add(folder name: String) {
        folders.append(name)
        hashes.insert(WatchedFolder.hash(name))
    }

    mutating func skip(_ name: String) {
        skipped.insert(name)
        hashes.insert(WatchedFolder.hash(name))
    }

    /// Forgets the names that are not in `names`; those that were watched, and whether they were files.
    mutating func forget(allBut names: Set<String>) -> [(name: String, isFile: Bool)] {
        let goneFiles = files.keys.filter { !names.contains($0) }
        let goneFolders = folders.filter { !names.contains($0) }
        for name in goneFiles { files[name] = nil }
        folders.removeAll { !names.contains($0) }
        skipped.formIntersection(names)
        hashes = Set((files.keys + folders + skipped).map { WatchedFolder.hash($0) })
        return goneFiles.map { ($0, true) } + goneFolders.map { ($0, false) }
    }

    private static func hash(_ name: String) -> UInt64 {
        var name = name
        return name.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
    }

    /// FNV-1a, 64 bits: two names of one folder that share it would take some billions of files.
    private static func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
        name.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

/// What of the repository is watched.
struct WatchRules: Sendable {
    /// Declared outputs of all stages: what happens to them is checked elsewhere.
    let outputs: Set<String>
    /// Folders above them: watched though git ignores them.
    let above: Set<String>
    /// Whether git ignores a path; a folder's ends in `/`.
    let isIgnored: @Sendable (String) -> Bool

    /// The folders of the project itself, and what interpreters leave beside their sources.
    private static let own: Set<String> = [".git", ".mlops", "registry"]
    private static let caches: Set<String> = [
        "__pycache__", ".git", ".mlops", ".venv", "node_modules", ".ipynb_checkpoints",
    ]

    init(_ pipeline: Pipeline, isIgnored: @escaping @Sendable (String) -> Bool) {
        outputs = Set(pipeline.stages.flatMap { $0.outputs.map(\.path) })
        var above: Set<String> = []
        for path in outputs {
            var folder = FileSystem.parent(of: path)
            while folder != ".", folder != "/", above.insert(folder).inserted { folder = FileSystem.parent(of: folder) }
        }
        self.above = above
        self.isIgnored = isIgnored
    }

    func watches(_ path: String, name: String, isFolder: Bool, in folder: String) -> Bool {
        if outputs.contains(path) || (folder.isEmpty && WatchRules.own.contains(name)) { return false }
        if WatchRules.caches.contains(name) || name.hasSuffix(".mlops-tmp") { return false }
        if isFolder { return above.contains(path) || !isIgnored(path + "/") }
        return above.contains(folder) || !isIgnored(path)
    }
}

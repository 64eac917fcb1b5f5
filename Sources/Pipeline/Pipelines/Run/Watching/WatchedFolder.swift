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
    var folders: [String] = []
    /// Names that are watched nowhere, such as declared outputs: their content is of no interest.
    var skipped: Set<String> = []
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

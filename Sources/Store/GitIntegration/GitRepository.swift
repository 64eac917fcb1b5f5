internal import Basics
internal import CLibgit2
internal import Synchronization

/// The git repository around a project, read through libgit2.
///
/// Nothing here starts a program: libgit2 knows neither hooks nor `core.fsmonitor`, nor filters of the repository's
/// configuration. Paths are relative to the working tree or absolute inside it. All methods may be called from any
/// thread.
package final class GitRepository: Sendable {
    /// The absolute path of the folder that holds the checked-out files, without a last slash.
    package let workingTree: String
    /// The absolute path of the repository's own folder: `.git`, or `.git/worktrees/<name>` in a linked worktree.
    package let gitFolder: String

    /// A pointer that may change threads, because its `Mutex` lets only one use it.
    private struct Handle: @unchecked Sendable { let pointer: OpaquePointer }
    private let handle: Mutex<Handle>

    private init(taking pointer: OpaquePointer, workingTree: String, gitFolder: String) {
        handle = Mutex(Handle(pointer: pointer))
        self.workingTree = workingTree
        self.gitFolder = gitFolder
    }

    deinit { handle.withLock { git_repository_free($0.pointer) } }

    /// Gets ready beside other work of a program that is about to look for a repository.
    package static func prepare() { LibGit2.startAhead() }

    /// The repository that `path` lies in, or nil if there is none in the folders from `path` up to the root of its
    /// disk.
    ///
    /// - Throws: kind `.notAllowed` if another user owns it, kind `.failed` if it is bare, uses SHA-256 objects or
    ///   another extension that libgit2 lacks, or is broken.
    package static func discover(from path: String) throws -> GitRepository? {
        try LibGit2.start()
        var opened: OpaquePointer?
        let code = git_repository_open_ext(&opened, path, 0, nil)
        guard code == 0, let repository = opened else { return try explainFailedOpening(code, path) }
        guard let tree = git_repository_workdir(repository), let folder = git_repository_path(repository) else {
            let place = git_repository_path(repository).map { String(cString: $0) } ?? path
            git_repository_free(repository)
            throw MLOpsError(
                .failed, "`\(place)` is a bare git repository, which has no files to work on",
                hint: "work in a clone of it: `git clone \(place)`")
        }
        let gitFolder = FileSystem.absolute(String(cString: folder))
        applyWorktreeConfiguration(repository, gitFolder: gitFolder)
        return GitRepository(
            taking: repository, workingTree: FileSystem.absolute(String(cString: tree)), gitFolder: gitFolder)
    }

    /// Adds `config.worktree`, which libgit2 does not read by itself, on top of the repository's configuration.
    private static func applyWorktreeConfiguration(_ repository: OpaquePointer, gitFolder: String) {
        var configuration: OpaquePointer?
        guard git_repository_config(&configuration, repository) == 0 else { return }
        defer { git_config_free(configuration) }
        var isOn: Int32 = 0
        guard git_config_get_bool(&isOn, configuration, "extensions.worktreeconfig") == 0, isOn != 0 else { return }
        git_config_add_file_ondisk(
            configuration, FileSystem.join(gitFolder, "config.worktree"), GIT_CONFIG_LEVEL_APP, repository, 0)
    }

    /// nil where there simply is no repository, the reason for everything else.
    private static func explainFailedOpening(_ code: Int32, _ path: String) throws -> GitRepository? {
        let message = LibGit2.lastMessage
        let entry = try nearestGitEntry(above: path)
        let root = entry?.folder ?? path
        // libgit2 1.5 gives "not found" for a foreign owner if no `safe.directory` is configured at all.
        if code == GIT_EOWNER.rawValue || message.contains("safe.directory") || message.contains("not owned") {
            throw MLOpsError(
                .notAllowed, "the git repository `\(root)` belongs to another user",
                hint: "if you trust it, run `git config --global --add safe.directory \(root)`")
        }
        if message.contains("extensions.objectformat") {
            throw MLOpsError(
                .failed, "the git repository `\(root)` uses SHA-256 objects, which libgit2 cannot read",
                hint: "use a repository made with `git init --object-format=sha1`, which is git's default")
        }
        if message.contains("unsupported extension") {
            throw MLOpsError(
                .failed, "the git repository `\(root)` cannot be read: \(printable(message))",
                hint: "see `git config --local --get-regexp '^extensions'`")
        }
        // For a `.git` file that leads nowhere, such as that of a removed worktree, libgit2 just finds nothing.
        guard code == GIT_ENOTFOUND.rawValue, entry?.isFile != true else {
            if let failure = LibGit2.systemFailure("open the repository `\(root)`") { throw failure }
            throw MLOpsError(
                .failed, "the git repository `\(root)` cannot be opened: \(printable(message))",
                hint: "run `git -C \(root) status` to see what git says")
        }
        return nil
    }

    /// The nearest folder from `path` upwards that holds a `.git`, and whether that is a file.
    private static func nearestGitEntry(above path: String) throws -> (folder: String, isFile: Bool)? {
        var folder = FileSystem.absolute(path)
        while true {
            if let status = try FileStatus.of(FileSystem.join(folder, ".git")) { return (folder, status.kind == .file) }
            if folder == "/" { return nil }
            folder = FileSystem.parent(of: folder)
        }
    }

    /// Runs `body` with libgit2's repository, one caller at a time.
    func withRepository<Result: Sendable>(_ body: (OpaquePointer) throws -> Result) throws -> Result {
        try handle.withLock { try body($0.pointer) }
    }

    /// `path` relative to the working tree; empty for the working tree itself.
    ///
    /// - Throws: kind `.usage` if an absolute path lies outside.
    func relative(_ path: String) throws -> String {
        guard path.hasPrefix("/") else { return path == "." ? "" : path }
        let folder = FileSystem.resolved(FileSystem.parent(of: path)) ?? "/"
        for candidate in [path, FileSystem.join(folder, FileSystem.name(of: path))] {
            if let relative = FileSystem.relative(candidate, to: workingTree) { return relative }
        }
        throw MLOpsError(.usage, "`\(path)` lies outside the git repository `\(workingTree)`")
    }
}

package import Basics
package import ContentStorage
package import GitIntegration

/// What the surroundings give a workspace: handed in by the command line, so that a test can hand in its own.
package struct HostEnvironment: Sendable {
    /// The process's environment variables.
    package var variables: [String: String]
    /// The path of this `mlops`, for the built-in steps that run as processes of their own.
    package var executable: String
    /// Who acts, for the registry's events: `user@host`.
    package var actor: String
    /// The user's own configuration, `~/.config/mlops/config.yaml`; nil without a home.
    package var userConfigurationPath: String?

    package init(
        variables: [String: String], executable: String, actor: String, userConfigurationPath: String? = nil
    ) {
        self.variables = variables
        self.executable = executable
        self.actor = actor
        self.userConfigurationPath = userConfigurationPath
    }
}

/// One opened project: the folder with `registry/` in it, its store, its git repository, and what can be done with them.
package final class Workspace: Sendable {
    /// The project's root, absolute, links resolved.
    package let root: String
    package let environment: HostEnvironment
    /// The store in `.mlops/`.
    package let store: ContentStore
    private let repository: Lazy<GitRepository?>

    /// The surrounding git repository, if there is one. It is looked for when it is first asked for.
    package var git: GitRepository? { get throws { try repository.get() } }

    /// The folder of the store, the events, the runs and the caches; ignored by git.
    package var folder: String { FileSystem.join(root, ".mlops") }

    private init(root: String, environment: HostEnvironment) throws {
        self.root = root
        self.environment = environment
        store = try ContentStore(folder: FileSystem.join(root, ".mlops"))
        repository = Lazy { try GitRepository.discover(from: root) }
        // A link to a larger disk is fine; one that git brought along could lead to anything of the user's.
        if try FileStatus.of(folder)?.kind == .symlink, try git?.isTracked(folder) == true {
            throw MLOpsError(
                .usage, "`.mlops` is a link that git tracks, so the store would lie where others want it",
                hint: "run `git rm --cached .mlops`, and see where it leads with `ls -l .mlops`")
        }
    }

    /// Gets git ready beside other work of a program that is about to open a project and ask for it.
    package static func prepare() { GitRepository.prepare() }

    /// The workspace that `directory` lies in.
    ///
    /// - Throws: `MLOpsError` of kind `.noProject` if neither it nor a folder above holds a project.
    package static func open(at directory: String, environment: HostEnvironment) throws -> Workspace {
        guard let start = FileSystem.resolved(directory) else {
            throw MLOpsError(.notFound, "there is no directory `\(directory)`")
        }
        guard let root = findRoot(from: start) else {
            throw MLOpsError(
                .noProject, "there is no mlops project in `\(start)` or above it",
                hint: "run `mlops init` in the root of your repository")
        }
        return try Workspace(root: root, environment: environment)
    }

    /// The nearest folder from `start` upwards that holds `registry/config.yaml` or `.mlops/`.
    static func findRoot(from start: String) -> String? {
        var folder = start
        while true {
            if FileSystem.exists(FileSystem.join(folder, ConfigurationFile.sharedPath))
                || FileSystem.isDirectory(FileSystem.join(folder, ".mlops"))
            {
                return folder
            }
            if folder == "/" { return nil }
            folder = FileSystem.parent(of: folder)
        }
    }

    /// Makes `directory` the root of a project; files that exist stay as they are.
    package static func initialize(
        at directory: String, environment: HostEnvironment
    ) throws -> (
        workspace: Workspace, report: InitializationReport
    ) {
        guard let root = FileSystem.resolved(directory) else {
            throw MLOpsError(.notFound, "there is no directory `\(directory)`", hint: "make it with `mkdir -p`")
        }
        if let outer = findRoot(from: FileSystem.parent(of: root)), root != "/" {
            throw MLOpsError(
                .usage, "`\(root)` lies inside the project `\(outer)`",
                hint: "run `mlops status` there, or choose a folder outside it")
        }
        var created: [String] = []
        let shared = FileSystem.join(root, ConfigurationFile.sharedPath)
        if !FileSystem.exists(shared) {
            try FileSystem.replace(
                ConfigurationFile.sharedPath, below: root, with: Array(ConfigurationFile.initialText.utf8))
            created.append(ConfigurationFile.sharedPath)
        }
        let folder = FileSystem.join(root, ".mlops")
        if !FileSystem.isDirectory(folder) {
            try FileSystem.createDirectories(folder)
            created.append(".mlops/")
        }
        let workspace = try Workspace(root: root, environment: environment)
        let hasGit = try workspace.git != nil
        if hasGit, try ignoreStore(in: workspace) { created.append(".gitignore") }
        workspace.store.hideFromGit()
        return (workspace, InitializationReport(root: root, created: created, hasGit: hasGit))
    }

    /// Puts `/.mlops/` into the root's `.gitignore`; false if git ignores it already.
    private static func ignoreStore(in workspace: Workspace) throws -> Bool {
        if let git = try workspace.git, try git.isIgnored(FileSystem.join(workspace.root, ".mlops/index.sqlite")) {
            return false
        }
        let path = FileSystem.join(workspace.root, ".gitignore")
        var text = FileSystem.exists(path) ? try FileSystem.readText(path) : ""
        if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
        try FileSystem.replace(path, with: Array((text + "/.mlops/\n").utf8))
        return true
    }
}

/// What `mlops init` did.
package struct InitializationReport: Encodable, Sendable {
    package var root: String
    /// The files and folders that were made, relative to the root; empty if all was there.
    package var created: [String]
    package var hasGit: Bool
}

extension Workspace {
    /// `path`, given relative to `directory` or absolute, as a path inside the project.
    ///
    /// - Throws: kind `.usage` if it lies outside the project or inside `.git` or `.mlops`.
    package func relativePath(of path: String, from directory: String? = nil) throws -> RelativePath {
        let absolute = FileSystem.absolute(path, from: directory ?? root)
        // The folder's links are resolved, the last name's is not: a link is an entry of its own.
        let folder = FileSystem.resolved(FileSystem.parent(of: absolute)) ?? FileSystem.parent(of: absolute)
        let real = FileSystem.join(folder, FileSystem.name(of: absolute))
        guard let relative = FileSystem.relative(real, to: root), !relative.isEmpty else {
            throw MLOpsError(
                .usage, "path `\(printable(path))` lies outside the project `\(root)`",
                hint: "use a path inside the project; `import` brings data in from elsewhere")
        }
        return try RelativePath(relative)
    }

    /// The absolute path of `path`.
    package func absolute(_ path: RelativePath) -> String { FileSystem.join(root, path.description) }

    package func absolute(_ path: String) -> String { FileSystem.absolute(path, from: root) }
}

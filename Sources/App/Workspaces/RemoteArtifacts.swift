package import ArtifactRegistry
package import Basics
package import ContentStorage
internal import Glibc
package import Remotes

/// What `mlops get` did.
package struct DownloadOutcome: Encodable, Sendable {
    package var artifact: ArtifactName
    package var version: Int
    /// The part, from the artifact's own path; nil for all of it.
    package var part: RelativePath?
    package var content: ContentRoot
    /// Where it lies now, absolute.
    package var path: String
    /// nil if it lay there already.
    package var transfer: TransferReport?
}

/// The artifacts of a remote, for machines that have no project: CI, servers.
package struct RemoteArtifacts: Sendable {
    let remote: any Remote
    let environment: HostEnvironment
    let options: TransferOptions

    package init(
        _ configuration: RemoteConfiguration, relativeTo directory: String, environment: HostEnvironment,
        options: TransferOptions
    ) throws {
        remote = try openRemote(
            configuration, environment: environment.variables, relativeTo: directory, limiter: options.limiter,
            notice: options.notice)
        self.environment = environment
        self.options = options
    }

    /// The remote that `text` means in `directory`: an address, a path, or the name of one of the project there, if there is one.
    package static func configuration(
        for text: String, in directory: String, environment: HostEnvironment
    ) throws -> RemoteConfiguration {
        let isPath = text.hasPrefix("/") || text.hasPrefix("./") || text.hasPrefix("../") || text == "." || text == ".."
        if text.contains("://") || isPath { return RemoteConfiguration(url: text) }
        var known: [ConfigurationFile.NamedRemote] = []
        if let project = try? Workspace.open(at: directory, environment: environment) {
            known = try project.remotes()
            if let found = known.first(where: { $0.name == text }) {
                var configuration = found.configuration
                if !configuration.url.contains("://") { configuration.url = project.absolute(configuration.url) }
                return configuration
            }
        }
        if FileSystem.isDirectory(FileSystem.absolute(text, from: directory)) { return RemoteConfiguration(url: text) }
        let near = nearestName(to: text, among: known.map(\.name)).map { "did you mean `\($0)`? " } ?? ""
        throw MLOpsError(
            .notFound, "there is no remote or folder `\(printable(text))`",
            hint: near
                + "give an address such as `s3://bucket/prefix`, a folder's path, or the name of a remote of this project"
        )
    }

    private var registry: Registry {
        let log = ClosureEventLog(
            place: remote.location, get: { [remote] in try await remote.get($0) },
            putIfAbsent: { _, _ in false }, list: { [remote] in try await remote.list($0).map(\.key) })
        return Registry(log: log, actor: environment.actor)
    }

    /// The histories of all artifacts, sorted by name.
    package func histories() async throws -> [ArtifactHistory] {
        try await checkFormat()
        return try await registry.histories()
    }

    private func checkFormat() async throws {
        guard try await RemoteFormat.check(remote) else {
            throw MLOpsError(
                .notFound, "the remote `\(remote.location)` is empty: nothing was pushed there yet",
                hint: "check its address, or run `mlops registry push` on the machine that has the data")
        }
    }

    private func resolve(_ reference: ArtifactReference) async throws -> VersionRecord {
        try await checkFormat()
        do {
            return try await registry.resolve(reference)
        } catch let error as MLOpsError where error.kind == .notFound {
            let isGuess = error.hint?.hasPrefix("did you mean") == true
            throw MLOpsError(
                .notFound, "\(error.message) in the remote `\(remote.location)`",
                hint: isGuess ? error.hint : "run `mlops get <remote> --list` to see what it has", cause: error)
        }
    }

    /// Brings a version, or a part of it, to `destination`, all or nothing and verified.
    ///
    /// What was fetched is kept in a hidden folder beside the destination until the files have their name, so that a call after
    /// an interrupted one goes on from there.
    ///
    /// - Parameters:
    ///   - destination: nil for the last name of the artifact or the part, in `directory`. A file goes into a folder that is there.
    ///   - replaces: whether other content at the destination may go away.
    /// - Throws: kind `.failed` if something else is there.
    package func download(
        _ reference: ArtifactReference, part: RelativePath? = nil, to destination: String?, in directory: String,
        replaces: Bool
    ) async throws -> DownloadOutcome {
        let version = try await resolve(reference)
        let root = ContentRoot(version.content)
        let name = part?.lastPart ?? FileSystem.name(of: reference.artifact.name)
        var target = FileSystem.absolute(destination ?? name, from: directory)
        let isFile = root.kind == .file
        if part == nil, isFile, FileSystem.isDirectory(target) { target = FileSystem.join(target, name) }
        try FileSystem.createDirectories(FileSystem.parent(of: target))
        if part == nil, !replaces, FileSystem.exists(target) { try await refuseOther(than: root, at: target) }
        var outcome = DownloadOutcome(
            artifact: reference.artifact, version: version.version, part: part, content: root, path: target)
        if part == nil, try await holds(root, at: target) { return outcome }
        let scratch = try await ScratchFolder(beside: target)
        do {
            try await fetch(root, into: scratch, replaces: replaces, &outcome)
        } catch let error as MLOpsError where [.notFound, .usage, .failed].contains(error.kind) {
            // Another call would end the same way, so there is nothing to go on with.
            try? scratch.remove()
            throw error
        }
        return outcome
    }

    private func fetch(
        _ root: ContentRoot, into scratch: ScratchFolder, replaces: Bool, _ outcome: inout DownloadOutcome
    ) async throws {
        let transfer = Transfer(store: scratch.store, remote: remote, options: options)
        var arrival = Arrival()
        if outcome.part == nil {
            arrival = try await transfer.pull([Delivery(root, to: scratch.finishedPath)])
        } else {
            arrival.report = try await transfer.pull([root], PathSelection(outcome.part.map { [$0] } ?? []))
        }
        var isExecutable = false
        if let part = outcome.part {
            let wanted = try scratch.store.part(part, of: root)
            guard wanted.kind != .symlink else {
                throw MLOpsError(.usage, "`\(part)` is a symbolic link", hint: "name what it points to")
            }
            isExecutable = wanted.kind == .executable
            outcome.content = wanted.content
            if wanted.content.kind == .file, FileSystem.isDirectory(outcome.path) {
                outcome.path = FileSystem.join(outcome.path, part.lastPart)
            }
            if !replaces, FileSystem.exists(outcome.path) {
                try await refuseOther(than: wanted.content, at: outcome.path)
            }
        }
        try await scratch.place(
            outcome.content, isExecutable: isExecutable, at: outcome.path, progress: options.progress, arrival.source)
        outcome.transfer = arrival.total
    }

    /// Whether exactly `root` is at `path`.
    private func holds(_ root: ContentRoot, at path: String) async throws -> Bool {
        guard let status = try FileStatus.of(path), status.kind == (root.kind == .tree ? .directory : .file) else {
            return false
        }
        // The store is looked at by nobody: it only knows how to read a folder.
        let store = try ContentStore(folder: FileSystem.temporaryPath(beside: path))
        return try await store.identify(path: path) == root
    }

    private func refuseOther(than root: ContentRoot, at path: String) async throws {
        if FileSystem.isDirectory(path), try FileSystem.list(path).isEmpty { return }
        guard try await !holds(root, at: path) else { return }
        throw MLOpsError(
            .failed, "`\(path)` exists and holds something else",
            hint: "name another path, or repeat the command with `--force` to replace it")
    }
}

/// A hidden folder beside a destination, with a store for what was fetched; it goes away once the destination is right.
private struct ScratchFolder: Sendable {
    let path: String
    let store: ContentStore
    private let lock: FileLock

    init(beside target: String) async throws {
        path = FileSystem.join(FileSystem.parent(of: target), ".\(FileSystem.name(of: target)).mlops-get")
        try ScratchFolder.refuseForeign(path)
        try FileSystem.createDirectories(path, mode: 0o700, flushes: false)
        lock = try await FileLock(FileSystem.join(path, "lock"), .exclusive, timeout: .seconds(2))
        try ScratchFolder.forgetEarlierBoots(path)
        store = try ContentStore(folder: FileSystem.join(path, ScratchFolder.storeName), isScratch: true)
    }

    /// Removes what was fetched before the machine started: it was not flushed, so a power cut may have left it in part.
    private static func forgetEarlierBoots(_ path: String) throws {
        let note = FileSystem.join(path, bootName)
        let boot = (try? FileSystem.readText("/proc/sys/kernel/random/boot_id")) ?? ""
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
            && !["lock", bootName, storeName, partialName].contains { try hasLink(FileSystem.join(path, $0)) }
        guard !isOurs else { return }
        throw MLOpsError(
            .failed, "`\(printable(path))` is not what an earlier `mlops get` left there",
            hint: "see what it is with `ls -la`, and remove it")
    }

    private static let storeName = ".mlops"
    /// Which boot of the machine the store is of.
    private static let bootName = "boot"
    /// What has come of a large file.
    private static let partialName = "partial"

    /// Where the content is put together.
    var finishedPath: String { FileSystem.join(path, "content") }

    /// Checks `content` out, flushes it, and gives it its name.
    func place(
        _ content: ContentRoot, isExecutable: Bool, at target: String, progress: ProgressHandler?,
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
        let old = FileSystem.join(path, "old")
        try FileSystem.removeTree(old)
        let replacesFolder = FileSystem.isDirectory(target)
        if replacesFolder { try FileSystem.rename(target, to: old) }
        do {
            try FileSystem.rename(finished, to: target)
        } catch {
            if replacesFolder { try? FileSystem.rename(old, to: target) }
            throw error
        }
        try FileSystem.synchronizeDirectory(FileSystem.parent(of: target))
        try remove()
    }

    func remove() throws { try FileSystem.removeTree(path) }
}

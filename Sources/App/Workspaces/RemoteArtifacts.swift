package import ArtifactRegistry
package import Basics
package import ContentStorage
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
    /// What was fetched is kept in a hidden folder beside the destination, or in a folder that is there, until the files have
    /// their names, so that a call after an interrupted one goes on from there.
    ///
    /// - Parameters:
    ///   - destination: nil for the last name of the artifact or the part, in `directory`. A file goes into a folder that is
    ///     there, and a folder's files fill it.
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
        let isFilled = FileSystem.isDirectory(target) && !(part == nil && isFile)
        if isFilled {
            // The folder that a link leads to is filled, and the link stays.
            if try FileStatus.of(target)?.kind == .symlink { target = FileSystem.resolved(target) ?? target }
            try await ScratchFolder.settle(in: target)
            if part == nil { try ScratchFolder.refuseProject(target) }
        }
        if part == nil, !replaces, FileSystem.exists(target) { try await refuseOther(than: root, at: target) }
        var outcome = DownloadOutcome(
            artifact: reference.artifact, version: version.version, part: part, content: root, path: target)
        if part == nil, try await holds(root, at: target) { return outcome }
        let scratch = try await isFilled ? ScratchFolder(in: target) : ScratchFolder(beside: target)
        do {
            try await fetch(root, into: scratch, replaces: replaces, &outcome)
        } catch let error as MLOpsError where [.notFound, .usage, .failed].contains(error.kind) {
            // Another call would end the same way, so there is nothing to go on with.
            if !scratch.isPlacing { try? scratch.remove() }
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
            outcome.content, isExecutable: isExecutable, at: outcome.path, replaces: replaces,
            progress: options.progress, arrival.source)
        outcome.transfer = arrival.total
    }

    /// Whether exactly `root` is at `path`.
    private func holds(_ root: ContentRoot, at path: String) async throws -> Bool {
        guard let status = try FileStatus.of(path), status.kind == (root.kind == .tree ? .directory : .file) else {
            return false
        }
        if root.kind == .tree, ScratchFolder.isLeft(in: path) { return false }
        // The store is looked at by nobody: it only knows how to read a folder.
        let store = try ContentStore(folder: FileSystem.temporaryPath(beside: path))
        return try await store.identify(path: path) == root
    }

    private func refuseOther(than root: ContentRoot, at path: String) async throws {
        if FileSystem.isDirectory(path), try ScratchFolder.others(in: path).isEmpty { return }
        guard try await !holds(root, at: path) else { return }
        throw ScratchFolder.holdsOther(path)
    }
}

package import ArtifactRegistry
package import Basics
package import ContentStorage
internal import GitIntegration
package import Remotes

extension Workspace {
    /// The events of this machine, `.mlops/events`.
    package var localEvents: DirectoryEventLog { DirectoryEventLog(root: FileSystem.join(folder, "events")) }

    /// The registry over this machine's events.
    package var registry: Registry { Registry(log: localEvents, actor: environment.actor) }

    /// The events on a remote.
    package func events(on remote: any Remote) -> any EventLog {
        ClosureEventLog(
            place: remote.location, get: { key in try await remote.get(key) },
            putIfAbsent: { bytes, key in try await remote.putIfAbsent(bytes, at: key) },
            list: { prefix in try await remote.list(prefix).map(\.key) })
    }

    /// The remote that events are shared through: the named one, or the default; nil if the project has none.
    func remoteForEvents(named name: String?) throws -> (any Remote)? {
        try name != nil || !remotes().isEmpty ? open(remote(named: name)) : nil
    }

    /// Brings the remote's events of `artifact` here; what is here alone stays.
    @discardableResult
    package func receiveEvents(of artifact: ArtifactName, from remote: any Remote) async throws -> SyncReport {
        try await synchronize(
            local: localEvents, shared: events(on: remote), artifact: artifact, direction: .receive)
    }

    /// Sends the content of every version of `artifact` that is here, then makes both logs agree.
    @discardableResult
    package func shareEvents(
        of artifact: ArtifactName, with remote: any Remote, progress: ProgressHandler? = nil
    ) async throws -> (transfer: TransferReport, events: SyncReport) {
        let history = try await registry.history(of: artifact)
        var roots: [ContentRoot] = []
        for version in history.versions where history.withdrawn[version.version] == nil {
            for root in version.contents.map(ContentRoot.init) where try !roots.contains(root) && store.contains(root) {
                roots.append(root)
            }
        }
        // The content goes first: an event that is there must never name content that is not.
        let transfer = try await Transfer(store: store, remote: remote, progress: progress).push(roots)
        let events = try await synchronize(local: localEvents, shared: events(on: remote), artifact: artifact)
        return (transfer, events)
    }
}

/// What `mlops registry push` did to one artifact.
package struct PublicationOutcome: Encodable, Sendable {
    package var artifact: ArtifactName
    package var version: Int
    package var content: ArtifactContent
    /// Whether this push made the version; false if the newest version has this content already.
    package var isNew: Bool
    /// Where it was sent; nil if the project has no remote yet.
    package var remote: String?
    package var transfer: TransferReport?
    /// Versions that another clone had published first, so that ours got new numbers: old to new.
    package var renumbered: [Int: Int]
}

/// What is recorded with a new version besides its content.
package struct PublicationDetails: Sendable {
    package var run: String?
    package var parents: [ArtifactParent] = []
    package var parameters: JSONValue = [:]
    package var metrics: JSONValue = [:]
    package var energy: JSONValue?
    /// The reports of the gates that it passed, by stage.
    package var gates: JSONValue?
    package var message: String?

    package init() {}
}

extension Workspace {
    /// Publishes what `artifact`'s pointer names as a version, unless the newest version is that already, and sends it.
    ///
    /// - Parameter remoteName: nil for the default remote; where the project has none the version stays on this machine.
    package func publish(
        _ artifact: ArtifactName, details: PublicationDetails = PublicationDetails(), remoteName: String? = nil,
        progress: ProgressHandler? = nil
    ) async throws -> PublicationOutcome {
        let pointer = try requirePointer(of: artifact)
        guard try store.contains(pointer.content) else {
            throw MLOpsError(
                .notFound, "the store has no content for `\(artifact)` at this commit",
                hint: "run `mlops pull \(artifact)`, or `mlops add \(pointer.path)` to record what is there")
        }
        let remote = try remoteForEvents(named: remoteName)
        // What others published counts first, so that the number is right at once.
        if let remote { try await shareEvents(of: artifact, with: remote) }
        let published = try await registry.publish(artifact, try record(for: pointer, details: details))
        var outcome = PublicationOutcome(
            artifact: artifact, version: published.version.version, content: published.version.content,
            isNew: published.isNew, remote: remote?.location, renumbered: [:])
        if let remote {
            let shared = try await shareEvents(of: artifact, with: remote, progress: progress)
            outcome.transfer = shared.transfer
            outcome.renumbered = shared.events.renumbered
            outcome.version = outcome.renumbered[outcome.version] ?? outcome.version
        }
        return outcome
    }

    private func record(for pointer: Pointer, details: PublicationDetails) throws -> VersionRecord {
        var state: GitState?
        if let git {
            let head = try git.head()
            state = GitState(commit: head.commit, branch: head.branch, isDirty: try git.isDirty())
        }
        return VersionRecord(
            content: ArtifactContent(pointer.content), path: pointer.path.description, git: state, run: details.run,
            parents: details.parents, params: details.parameters, metrics: details.metrics, energy: details.energy,
            gates: details.gates, message: details.message)
    }
}

/// What `mlops registry pull` did.
package struct RetrievalOutcome: Encodable, Sendable {
    package var artifact: ArtifactName
    package var version: Int
    package var content: ArtifactContent
    package var path: RelativePath
    package var transfer: TransferReport?
    package var checkout: CheckoutReport
}

extension Workspace {
    /// Brings a published version here: its events, its content, its files at the path that it was published from, and the
    /// pointer that says so.
    package func retrieve(
        _ reference: ArtifactReference, remoteName: String? = nil, force: Bool = false,
        progress: ProgressHandler? = nil
    ) async throws -> RetrievalOutcome {
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let remote = try remoteForEvents(named: remoteName)
        if let remote { try await receiveEvents(of: reference.artifact, from: remote) }
        let version: VersionRecord
        do {
            version = try await registry.resolve(reference)
        } catch let error as MLOpsError where error.kind == .notFound && remote == nil {
            throw MLOpsError(
                .notFound, "\(error.message) here, and this project has no remote to ask",
                hint: "add the remote that has it with `mlops remote add`", cause: error)
        }
        let root = ContentRoot(version.content)
        var transfer: TransferReport?
        if try !store.contains(root) {
            guard let remote else {
                throw MLOpsError(
                    .notFound, "the store has no content for `\(reference)`, and this project has no remote",
                    hint: "add the remote that has it with `mlops remote add`")
            }
            transfer = try await Transfer(store: store, remote: remote, progress: progress).pull([root])
        }
        let path = try RelativePath(version.path)
        try Workspace.refuseReserved(path)
        let report = try await store.checkout(
            root, to: absolute(path), options: CheckoutOptions(force: force, progress: progress))
        try save(Pointer(artifact: reference.artifact, path: path, content: root))
        if git != nil { _ = try ignore(path: path, in: self.root) }
        return RetrievalOutcome(
            artifact: reference.artifact, version: version.version, content: version.content, path: path,
            transfer: transfer, checkout: report)
    }

    /// Sends the content of the pointers of `names` (or all) to a remote, without publishing versions.
    package func push(
        _ names: [ArtifactName], remoteName: String?, progress: ProgressHandler? = nil
    ) async throws -> TransferReport {
        let remote = try open(self.remote(named: remoteName))
        let roots = try selected(names).map(\.content)
        return try await Transfer(store: store, remote: remote, progress: progress).push(roots)
    }

    /// Fetches the content of the pointers of `names` (or all) that the store lacks, and checks it out.
    package func pull(
        _ names: [ArtifactName], remoteName: String?, force: Bool, progress: ProgressHandler? = nil
    ) async throws -> (transfer: TransferReport, checkouts: [CheckoutOutcome]) {
        let pointers = try selected(names)
        let remote = try open(self.remote(named: remoteName))
        let report = try await Transfer(store: store, remote: remote, progress: progress)
            .pull(pointers.map(\.content))
        return (report, try await checkout(pointers.map(\.artifact), force: force, progress: progress))
    }
}

extension ContentRoot {
    /// The content that an event of the registry names.
    package init(_ content: ArtifactContent) {
        self.init(
            digest: content.digest, kind: content.kind == .tree ? .tree : .file, byteCount: content.byteCount,
            fileCount: content.fileCount)
    }
}

extension ArtifactContent {
    package init(_ root: ContentRoot) {
        self.init(
            digest: root.digest, kind: root.kind == .tree ? .tree : .file, byteCount: root.byteCount,
            fileCount: root.fileCount)
    }
}

extension Workspace {
    /// The histories of all artifacts, or of those of one kind: this machine's, or those on a remote.
    package func histories(kind: String?, remoteName: String?) async throws -> [ArtifactHistory] {
        guard let remoteName else { return try await registry.histories(kind: kind) }
        let log = events(on: try open(remote(named: remoteName)))
        return try await Registry(log: log, actor: environment.actor).histories(kind: kind)
    }
}

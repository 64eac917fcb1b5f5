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
        options: TransferOptions = TransferOptions()
    ) async throws -> PublicationOutcome {
        let pointer = try requirePointer(of: artifact)
        guard try store.contains(pointer.content) else {
            throw MLOpsError(
                .notFound, "the store has no content for `\(artifact)` at this commit",
                hint: "run `mlops pull \(artifact)`, or `mlops add \(pointer.path)` to record what is there")
        }
        let shared = try await remoteForPublishing(named: remoteName, options: options)
        // What others published counts first, so that the number is right at once.
        if let shared { try await shareEvents(of: artifact, with: shared, options: options) }
        let published = try await registry.publish(artifact, try record(for: pointer, details: details))
        var outcome = PublicationOutcome(
            artifact: artifact, version: published.version.version, content: published.version.content,
            isNew: published.isNew, remote: shared?.remote.location, renumbered: [:])
        if let shared {
            let done = try await shareEvents(of: artifact, with: shared, options: options)
            outcome.transfer = done.transfer
            outcome.renumbered = done.events.renumbered
            outcome.version = outcome.renumbered[outcome.version] ?? outcome.version
        }
        return outcome
    }

    private func record(for pointer: Pointer, details: PublicationDetails) throws -> VersionRecord {
        var state: GitState?
        if let git = try git {
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
        options: TransferOptions = TransferOptions()
    ) async throws -> RetrievalOutcome {
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let shared = try remoteForEvents(named: remoteName, options: options)
        if let shared { try await receiveEvents(of: reference.artifact, from: shared) }
        let version: VersionRecord
        do {
            version = try await registry.resolve(reference)
        } catch let error as MLOpsError where error.kind == .notFound && shared == nil {
            throw MLOpsError(
                .notFound, "\(error.message) here, and this project has no remote to ask",
                hint: "add the remote that has it with `mlops remote add`", cause: error)
        }
        let root = ContentRoot(version.content)
        let path = try RelativePath(version.path)
        try Workspace.refuseReserved(path)
        let pointer = Pointer(artifact: reference.artifact, path: path, content: root)
        try refuseOverlap(of: pointer)
        var arrival: Arrival?
        if try !store.contains(root) {
            guard let shared else {
                throw MLOpsError(
                    .notFound, "the store has no content for `\(reference)`, and this project has no remote",
                    hint: "add the remote that has it with `mlops remote add`")
            }
            arrival = try await Transfer(store: store, remote: shared.remote, options: options)
                .pull([Delivery(root, to: absolute(path))])
        }
        let checkoutOptions = CheckoutOptions(force: force, progress: options.progress, source: arrival?.source)
        let report = try await store.checkout(root, to: absolute(path), options: checkoutOptions)
        if arrival != nil { store.noteWhole([root]) }
        try forgetParts(of: reference.artifact)
        try save(pointer)
        if try git != nil { _ = try ignore(path: path, in: self.root) }
        return RetrievalOutcome(
            artifact: reference.artifact, version: version.version, content: version.content, path: path,
            transfer: arrival?.total, checkout: report)
    }

    /// Refuses a pointer from elsewhere whose files would lie in those of another one, or around them.
    private func refuseOverlap(of pointer: Pointer) throws {
        let others = readablePointers().pointers.filter { $0.artifact != pointer.artifact }
        guard let (outer, inner) = Workspace.overlap(among: others + [pointer], of: [pointer.artifact]) else { return }
        let other = outer.artifact == pointer.artifact ? inner : outer
        throw MLOpsError(
            .conflict,
            "`\(pointer.artifact)` lies at `\(pointer.path)`, which overlaps `\(other.path)` of `\(other.ownPath)`",
            hint: "remove `\(other.ownPath)`, or change its `path:` and run `mlops checkout`")
    }

    /// Sends the content of the pointers of `names` (or all) to a remote, without publishing versions.
    package func push(
        _ names: [ArtifactName], remoteName: String?, options: TransferOptions = TransferOptions()
    ) async throws -> TransferReport {
        let remote = try open(self.remote(named: remoteName), options: options)
        let roots = try selected(names).map(\.content)
        return try await Transfer(store: store, remote: remote, options: options).push(roots)
    }

    /// Fetches the content of the pointers of `names` (or all) that the store lacks, and checks it out.
    ///
    /// - Parameter isInPlace: large files stay where they are written, with no second copy in the store.
    package func pull(
        _ names: [ArtifactName], _ extent: CheckoutExtent = CheckoutExtent(), remoteName: String?, force: Bool,
        isInPlace: Bool = false, options: TransferOptions = TransferOptions()
    ) async throws -> (transfer: TransferReport, checkouts: [CheckoutOutcome]) {
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let parts = try wantedParts(names, extent)
        if isInPlace { try await takeInPlace(parts, progress: options.progress) }
        let remote = try open(self.remote(named: remoteName), options: options)
        let transfer = Transfer(store: store, remote: remote, options: options)
        let arrival: Arrival
        do {
            arrival = try await transfer.pull(
                parts.map { Delivery($0.pointer.content, to: absolute($0.pointer.path), $0.selection) },
                isInPlace: isInPlace)
        } catch let error as MLOpsError {
            // The transfer knows the names of objects alone.
            let lacking = parts.map(\.pointer).first { error.message.contains($0.content.digest.description) }
            throw lacking.map { Workspace.naming($0.artifact, in: error) } ?? error
        }
        let checkouts = try await checkout(
            parts, extent, force: force, progress: options.progress, arrival.source, isInPlace: isInPlace)
        if arrival.total.objectCount > 0 {
            // Of a large file that was left as it is the new content is not here.
            let whole = try parts.filter { try $0.selection.isAll && (!$0.becomesWhole || isStored($0)) }
            store.noteWhole(whole.map(\.pointer.content))
        }
        return (arrival.total, checkouts)
    }

    /// Notes what lies in the workspace as it should be and in no pack, which need not be fetched.
    private func takeInPlace(_ parts: [WantedParts], progress: ProgressHandler?) async throws {
        for part in parts where part.selection.isAll {
            let (path, content) = (absolute(part.pointer.path), part.pointer.content)
            guard FileSystem.exists(path), try !store.contains(content), try await store.identify(path: path) == content
            else { continue }
            _ = try await store.add(path: path, options: AddOptions(isInPlace: true, progress: progress))
        }
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

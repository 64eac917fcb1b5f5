internal import ArtifactRegistry
internal import Basics
package import ContentStorage
package import Remotes

extension Workspace {
    /// Everything that names content, and what of that cannot be read itself.
    struct NamedContent {
        var roots: [(name: String, root: ContentRoot)] = []
        var pointers: [Pointer] = []
        /// Versions that were not withdrawn.
        var published: [(name: String, root: ContentRoot)] = []
        var faults: [VerificationReport.Damage] = []
        /// Artifacts whose events cannot be read.
        var brokenHistories: [ArtifactName] = []
        /// Artifacts of which this workspace wants parts alone.
        var partial: Set<ArtifactName> = []
    }

    /// Reads every byte of the store and follows what the pointers, those of earlier commits, and the versions name.
    package func verify(progress: ProgressHandler? = nil) async throws -> VerificationReport {
        try await verify(try await namedContent(), progress: progress)
    }

    func verify(_ named: NamedContent, progress: ProgressHandler?) async throws -> VerificationReport {
        var report = try await store.verify(roots: named.roots, progress: progress)
        report.damages = named.faults + report.damages
        if let damage = try store.damageOfWholeLog() { report.damages.append(damage) }
        return report
    }

    /// One pointer or event that cannot be read must not hide the others.
    func namedContent() async throws -> NamedContent {
        var named = NamedContent()
        let files = try pointerFiles(below: "registry")
        for path in files.misnamed {
            let error = Workspace.misnamedPointer(path)
            let problem = error.hint.map { "\(error.message); \($0)" } ?? error.message
            named.faults.append(.init(object: "pointer `\(path)`", problem: problem))
        }
        for (artifact, path) in files.named {
            do {
                let pointer = try Pointer(artifact: artifact, text: try pointerText(path), file: path)
                named.pointers.append(pointer)
                try name(pointer, in: &named)
            } catch let error as MLOpsError {
                named.faults.append(
                    .init(
                        object: "pointer `\(path)`", problem: "\(error); `git checkout -- \(path)` restores it",
                        hurts: [artifact.description]))
            }
        }
        var known = Set(named.roots.map(\.root))
        let isExpected = try store.expectation()
        // What was never here, or lies on a remote only, is not expected; what was whole here must be.
        func add(_ artifact: ArtifactName, _ name: String, _ root: ContentRoot) throws {
            guard !known.contains(root), try isExpected(root) else { return }
            if named.partial.contains(artifact), try !store.contains(root) { return }
            known.insert(root)
            named.roots.append((name: name, root: root))
        }
        for artifact in try await localEvents.artifacts() {
            do {
                let history = try await registry.history(of: artifact)
                for version in history.versions {
                    let name = "\(artifact)@v\(version.version)"
                    for content in version.contents.map(ContentRoot.init) {
                        try add(artifact, name, content)
                        if history.withdrawn[version.version] == nil { named.published.append((name, content)) }
                    }
                }
            } catch let error as MLOpsError where error.kind != .io {
                named.brokenHistories.append(artifact)
                named.faults.append(
                    .init(
                        object: "the events of `\(artifact)`", problem: error.message,
                        hurts: [artifact.description]))
            }
        }
        for (commit, pointer) in try committedPointers(limit: 1000) {
            try add(
                pointer.artifact, "\(pointer.artifact) at commit \(commit.prefix(12))", pointer.content)
        }
        return named
    }

    /// Of an artifact that was pulled in part the rest was never fetched.
    private func name(_ pointer: Pointer, in named: inout NamedContent) throws {
        let selection = try selection(of: pointer.artifact)
        guard !selection.isAll else {
            return named.roots.append((name: pointer.artifact.description, root: pointer.content))
        }
        named.partial.insert(pointer.artifact)
        for path in selection.paths {
            guard let part = try? store.part(path, of: pointer.content) else { continue }
            named.roots.append((name: "\(pointer.artifact): \(path)", root: part.content))
        }
    }

    // MARK: Remotes

    /// Looks at all of a remote: its index, its packs, the events there and the content of every version and pointer.
    ///
    /// - Parameter readsData: fetches every pack and checks every byte.
    package func verifyRemote(
        _ name: String?, readsData: Bool, progress: ProgressHandler? = nil
    ) async throws -> RemoteVerification {
        let remote = try open(self.remote(named: name))
        let verifier = RemoteVerifier(store: store, remote: remote, readsData: readsData, progress: progress)
        let (expected, faults) = try await expectedContent(of: remote)
        var report = try await verifier.verify(expected)
        report.damages = faults + report.damages
        return report
    }

    /// Replaces what is damaged or missing in a remote by what is here.
    package func healRemote(_ name: String?, readsData: Bool) async throws -> RemoteHealing {
        let remote = try open(self.remote(named: name))
        return try await RemoteVerifier(store: store, remote: remote, readsData: readsData).heal()
    }

    private func expectedContent(
        of remote: any Remote
    ) async throws -> (content: [ExpectedContent], faults: [VerificationReport.Damage]) {
        var content: [ExpectedContent] = []
        var faults: [VerificationReport.Damage] = []
        let log = events(on: remote)
        let shared = Registry(log: log, actor: environment.actor)
        for artifact in try await log.artifacts() {
            do {
                let history = try await shared.history(of: artifact)
                for version in history.versions where history.withdrawn[version.version] == nil {
                    content += version.contents.map {
                        ExpectedContent(
                            name: "\(artifact)@v\(version.version)", root: ContentRoot($0), isPublished: true)
                    }
                }
            } catch let error as MLOpsError where error.kind == .damaged || error.kind == .failed {
                faults.append(
                    .init(
                        object: "the events of `\(artifact)`", problem: error.message,
                        hurts: [artifact.description]))
            }
        }
        content += try await namedContent().pointers.map {
            ExpectedContent(name: $0.artifact.description, root: $0.content, isPublished: false)
        }
        return (content, faults)
    }
}

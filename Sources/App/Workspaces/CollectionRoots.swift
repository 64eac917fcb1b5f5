internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import GitIntegration
internal import Pipelines
internal import Synchronization

/// Finds everything in a project that names content: pointers in the working trees and in all of git, versions, the stage
/// cache and runs.
final class CollectionRoots: Sendable {
    private let workspace: Workspace
    private let policy: RetentionPolicy
    private let options: CollectionOptions
    private let start: Timestamp

    private struct PointerText: Hashable {
        var path: String
        var bytes: [UInt8]
    }

    /// Pointers of git's history that were read before: they are asked for several times.
    private let known = Mutex<[PointerText: ContentRoot]>([:])

    init(_ workspace: Workspace, policy: RetentionPolicy, options: CollectionOptions) {
        self.workspace = workspace
        self.policy = policy
        self.options = options
        start = options.now()
    }

    /// All of them as they are now.
    ///
    /// - Throws: what cannot be read, saying that nothing was removed.
    func find() async throws -> [CollectionRoot] {
        do {
            var roots = try workspace.pointers().map {
                CollectionRoot(name: $0.artifact.description, root: $0.content)
            }
            roots += try otherWorkingTrees()
            roots += try history()
            roots += try await versions()
            roots += try outputs()
            return try markingPartial(roots)
        } catch let error as MLOpsError {
            // A pointer that cannot be read is wrong usage to `status`; here it could cost data.
            let kind = error.kind == .usage ? .damaged : error.kind
            throw MLOpsError(
                kind, "nothing was removed: \(error.message)", hint: error.hint, at: error.location, cause: error)
        }
    }

    /// Of an artifact that was pulled in part, every version may be here in part.
    private func markingPartial(_ roots: [CollectionRoot]) throws -> [CollectionRoot] {
        let partial = Set(
            try workspace.pointers().map(\.artifact).filter { try !workspace.selection(of: $0).isAll }
                .map(\.description))
        return roots.map { root in
            var root = root
            // Names are `datasets/x`, `datasets/x@v3`, `datasets/x at commit …`.
            root.isPartial = partial.contains(String(root.name.prefix { $0 != "@" && $0 != " " }))
            return root
        }
    }

    /// A file with a wrong name may name content all the same.
    private func isPointer(_ path: String) -> Bool {
        Workspace.artifact(ofPointerAt: path) != nil || Workspace.isMisnamedPointer(path)
    }

    // MARK: Git

    private func otherWorkingTrees() throws -> [CollectionRoot] {
        guard let git = try workspace.git else { return [] }
        let place = try workspace.gitPath(of: "registry")
        let own = FileSystem.resolved(git.workingTree)
        var roots: [CollectionRoot] = []
        for tree in try git.workingTrees() where FileSystem.resolved(tree) != own {
            try visit(FileSystem.join(tree, place), "registry") { path, file in
                let pointer = try read(try FileSystem.read(file), path: path, file: file)
                roots.append(CollectionRoot(name: "`\(file)`", root: pointer))
            }
        }
        return roots
    }

    private func visit(
        _ folder: String, _ path: String, _ body: (_ path: String, _ file: String) throws -> Void
    ) throws {
        // A link could lead anywhere, or round.
        guard try FileStatus.of(folder)?.kind == .directory else { return }
        for name in try FileSystem.list(folder) {
            let (file, below) = (FileSystem.join(folder, name), path + "/" + name)
            if try FileStatus.of(file)?.kind == .directory {
                try visit(file, below, body)
            } else if isPointer(below) {
                try body(below, file)
            }
        }
    }

    private func history() throws -> [CollectionRoot] {
        guard let git = try workspace.git else { return [] }
        let prefix = try workspace.gitPath(of: "registry")
        func ownPath(_ path: String) -> String { "registry" + path.dropFirst(prefix.count) }
        let extent: GitRetention.Extent =
            switch policy.history {
            case .all: .all
            case .count(let count): .newest(count)
            case .age(let age):
                .since(Timestamp(milliseconds: start.milliseconds - Int64(min(age.seconds, 1e10) * 1000)))
            }
        let retention = GitRetention(history: extent, reflogSince: options.graceStart)
        let versions = try git.everyVersion(below: prefix, retention: retention) { self.isPointer(ownPath($0)) }
        return try versions.compactMap { version in
            let path = ownPath(version.path)
            let artifact = Workspace.artifact(ofPointerAt: path)?.description ?? path
            let name = "\(artifact) at \(version.holder)"
            do {
                let root = try read(version.bytes, path: path, file: "\(version.holder): \(path)")
                return CollectionRoot(name: name, root: root, isKept: version.isKept)
            } catch {
                if version.isKept { throw error }
                return nil
            }
        }
    }

    private func read(_ bytes: [UInt8], path: String, file: String) throws -> ContentRoot {
        let text = PointerText(path: path, bytes: bytes)
        if let root = known.withLock({ $0[text] }) { return root }
        let artifact = try Workspace.artifact(ofPointerAt: path) ?? ArtifactName("datasets/misnamed")
        do {
            let pointer = try Pointer(
                artifact: artifact, text: String(decoding: bytes, as: UTF8.self), file: file)
            known.withLock { $0[text] = pointer.content }
            return pointer.content
        } catch let error as MLOpsError {
            throw MLOpsError(
                error.kind, error.message,
                hint: "mend the pointer; if a commit holds it, `mlops gc --keep-history` can leave out old commits",
                at: error.location, cause: error)
        }
    }

    // MARK: Versions

    private func versions() async throws -> [CollectionRoot] {
        var roots: [CollectionRoot] = []
        for history in try await workspace.registry.histories() {
            let kept = keptVersions(of: history)
            for version in history.versions {
                for content in version.contents {
                    roots.append(
                        CollectionRoot(
                            name: "\(history.artifact)@v\(version.version)", root: ContentRoot(content),
                            isKept: kept.contains(version.version)))
                }
            }
        }
        return roots
    }

    private func keptVersions(of history: ArtifactHistory) -> Set<Int> {
        let usable = history.versions.map(\.version).filter { history.withdrawn[$0] == nil }
        guard let count = policy.versions else { return Set(usable) }
        // Of each alias also what a rollback would go back to.
        let aliased = history.aliases.keys.flatMap { history.past(of: $0).suffix(2) }
        return Set(usable.suffix(count)).union(aliased)
    }

    // MARK: Runs

    private func outputs() throws -> [CollectionRoot] {
        let kept = try KeptOutputs(workspace: workspace.folder)
        let expired = Set(expired(kept).map(\.path))
        return (kept.cacheEntries + kept.runs).flatMap { item in
            item.outputs.map {
                CollectionRoot(name: item.name, root: ContentRoot($0), isKept: !expired.contains(item.path))
            }
        }
    }

    /// What the policy gives up.
    private func expired(_ kept: KeptOutputs) -> [KeptOutputs.Item] {
        let all = kept.cacheEntries + kept.runs
        switch policy.runs {
        case .all: return []
        case .age(let age):
            let oldest = start.milliseconds - Int64(min(age.seconds, 1e10) * 1000)
            return all.filter { !$0.isCurrent && $0.time.milliseconds < oldest }
        case .count(let count):
            let runs = Set(kept.runs.suffix(count).map(\.run))
            return all.filter { !$0.isCurrent && !runs.contains($0.run) }
        }
    }

    /// Removes runs and cache entries that the policy gives up, and broken entries; how many.
    ///
    /// They go before the content that they name.
    func removeExpired() throws -> Int {
        let kept = try KeptOutputs(workspace: workspace.folder)
        let paths = expired(kept).map(\.path) + kept.brokenEntries
        for path in paths {
            try Failpoint.reach("gc.expire")
            try FileSystem.removeTree(path)
        }
        return paths.count
    }
}

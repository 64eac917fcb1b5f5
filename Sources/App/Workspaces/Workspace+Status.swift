package import ArtifactRegistry
package import Basics
package import ContentStorage
internal import GitIntegration

/// How one artifact's files stand against its pointer.
package struct ArtifactStatus: Encodable, Sendable {
    package enum State: String, Encodable, Sendable {
        /// The files are what the pointer says.
        case unchanged
        /// Some files differ.
        case modified
        /// There is nothing at the path.
        case missing
        /// The parts that were asked for are what the pointer says; the rest was not asked for.
        case partial
        /// How the files stand cannot be told.
        case unreadable
    }

    package var artifact: ArtifactName
    package var path: RelativePath
    package var state: State
    /// Whether the store holds the pointer's content, so that `checkout` can restore it.
    package var isStored: Bool
    package var changes: [ContentChange]
    /// The parts that this workspace wants; empty for all.
    package var parts: [RelativePath] = []
    /// Why the files are `unreadable`.
    package var problem: String?
}

/// What `mlops status` shows.
package struct WorkspaceStatus: Encodable, Sendable {
    package var root: String
    package var branch: String?
    /// The commit of git's head; nil before the first.
    package var commit: String?
    package var hasUncommittedChanges: Bool?
    package var artifacts: [ArtifactStatus]
    /// What the `unreadable` artifacts ran into; each one's own words are in its `problem`.
    package var failure: MLOpsError?

    private enum CodingKeys: CodingKey { case root, branch, commit, hasUncommittedChanges, artifacts }
}

extension Workspace {
    /// How the files stand against the pointers; unchanged files are not read again. What one artifact runs into hides no other.
    package func status(of selection: [ArtifactName] = []) async throws -> WorkspaceStatus {
        // Git looks at its own files while the artifacts are read.
        async let repository = repositoryState()
        var statuses: [ArtifactStatus] = []
        var failures: [MLOpsError] = []
        for pointer in try disjointPointers(selection) {
            do {
                statuses.append(try await status(of: pointer))
            } catch let error as MLOpsError where error.kind != .interrupted {
                failures.append(Workspace.naming(pointer.artifact, in: error))
                statuses.append(
                    ArtifactStatus(
                        artifact: pointer.artifact, path: pointer.path, state: .unreadable,
                        isStored: (try? isStored(wanted(of: pointer))) ?? false, changes: [],
                        problem: error.description))
            }
        }
        let (head, isDirty) = try await repository
        return WorkspaceStatus(
            root: root, branch: head?.branch, commit: head?.commit, hasUncommittedChanges: isDirty, artifacts: statuses,
            failure: Workspace.failure(of: failures))
    }

    /// One error for all that `status` ran into.
    private static func failure(of errors: [MLOpsError]) -> MLOpsError? {
        guard let first = errors.first, errors.count > 1 else { return errors.first }
        return MLOpsError(
            first.kind, "\(errors.count) artifacts cannot be read, the first: \(first.message)", hint: first.hint,
            at: first.location, cause: first)
    }

    private func repositoryState() async throws -> (head: GitHead?, isDirty: Bool?) {
        (try git?.head(), try git?.isDirty())
    }

    func status(of pointer: Pointer) async throws -> ArtifactStatus {
        let path = absolute(pointer.path)
        let wanted = try wanted(of: pointer)
        let (selection, isStored) = (wanted.selection, try isStored(wanted))
        guard FileSystem.exists(path) else {
            return ArtifactStatus(
                artifact: pointer.artifact, path: pointer.path, state: .missing, isStored: isStored, changes: [],
                parts: selection.paths)
        }
        let found = try await store.identify(path: path)
        if found == pointer.content {
            return ArtifactStatus(
                artifact: pointer.artifact, path: pointer.path, state: .unchanged, isStored: isStored, changes: [])
        }
        // Without the old listing the changes cannot be named, only that there are some.
        let changes = isStored ? try await store.compare(pointer.content, with: path, selection: selection) : []
        let isPartial = !selection.isAll && isStored && changes.isEmpty
        return ArtifactStatus(
            artifact: pointer.artifact, path: pointer.path, state: isPartial ? .partial : .modified,
            isStored: isStored, changes: changes, parts: selection.paths)
    }

    /// The pointers of `names`, or all of them.
    func selected(_ names: [ArtifactName]) throws -> [Pointer] {
        names.isEmpty ? try pointers() : try names.map(requirePointer(of:))
    }

    /// What `work` on `artifact` gives; an error of it tells the artifact's name.
    func naming<Value: Sendable>(
        _ artifact: ArtifactName, _ work: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await work()
        } catch let error as MLOpsError {
            throw Workspace.naming(artifact, in: error)
        }
    }

    static func naming(_ artifact: ArtifactName, in error: MLOpsError) -> MLOpsError {
        MLOpsError(error.kind, "`\(artifact)`: \(error.message)", hint: error.hint, at: error.location, cause: error)
    }
}

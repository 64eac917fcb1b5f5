package import ArtifactRegistry
package import Basics
package import ContentStorage
internal import GitIntegration

/// How an artifact differs between two states.
package struct ArtifactDifference: Encodable, Sendable {
    package enum State: String, Encodable, Sendable { case added, removed, modified }

    package var artifact: ArtifactName
    package var state: State
    package var old: ContentRoot?
    /// Nil too where only parts of it are here.
    package var new: ContentRoot?
    /// The files that differ; nil when a side's listing is not in the store.
    package var changes: [ContentChange]?
}

/// A commit that changed artifacts' pointers.
package struct HistoryEntry: Encodable, Sendable {
    package struct Change: Encodable, Sendable {
        package var artifact: ArtifactName
        /// Nil where the commit removed the pointer.
        package var content: ContentRoot?
    }

    package var commit: String
    package var author: String
    package var time: Timestamp
    package var summary: String
    package var changes: [Change]
}

extension Workspace {
    /// What differs between the pointers of `old` (a revision of git) and those of `new`, or the files as they are now.
    package func difference(
        from old: String = "HEAD", to new: String? = nil, of selection: [ArtifactName] = []
    ) async throws -> [ArtifactDifference] {
        let before = try contents(at: old, of: selection)
        var after: [ArtifactName: ContentRoot] = [:]
        var differences: [ArtifactDifference] = []
        if let new {
            after = try contents(at: new, of: selection)
        } else {
            for pointer in try pointers() where selection.isEmpty || selection.contains(pointer.artifact) {
                let path = absolute(pointer.path)
                guard FileSystem.exists(path) else { continue }
                if let old = before[pointer.artifact], let changes = try await changesOfParts(of: pointer, since: old) {
                    after[pointer.artifact] = old
                    guard !changes.isEmpty else { continue }
                    differences.append(
                        ArtifactDifference(
                            artifact: pointer.artifact, state: .modified, old: old, new: nil, changes: changes))
                } else {
                    after[pointer.artifact] = try await naming(pointer.artifact) {
                        try await store.identify(path: path)
                    }
                }
            }
        }
        // A name that nothing knows is a slip of the pen.
        for artifact in selection where before[artifact] == nil && after[artifact] == nil {
            _ = try requirePointer(of: artifact)
        }
        for artifact in Set(before.keys).union(after.keys) where before[artifact] != after[artifact] {
            differences.append(try await difference(of: artifact, from: before[artifact], to: after[artifact]))
        }
        return differences.sorted { $0.artifact < $1.artifact }
    }

    private func difference(
        of artifact: ArtifactName, from old: ContentRoot?, to new: ContentRoot?
    ) async throws -> ArtifactDifference {
        var changes: [ContentChange]?
        if let old, let new, try store.contains(old) {
            if try store.contains(new) {
                changes = try await store.compare(old, new)
            } else if let pointer = try pointer(of: artifact) {
                changes = try await store.compare(old, with: absolute(pointer.path))
            }
        }
        return ArtifactDifference(
            artifact: artifact, state: old == nil ? .added : new == nil ? .removed : .modified, old: old, new: new,
            changes: changes)
    }

    /// How the parts that this workspace wants differ from `old`; nil if all of the artifact is wanted, or if the store lacks
    /// these parts of `old`.
    private func changesOfParts(of pointer: Pointer, since old: ContentRoot) async throws -> [ContentChange]? {
        let selection = try selection(of: pointer.artifact)
        var past = pointer
        past.content = old
        guard !selection.isAll, try isStored(WantedParts(pointer: past, selection: selection)) else { return nil }
        return try await naming(pointer.artifact) {
            try await store.compare(old, with: absolute(pointer.path), selection: selection)
        }
    }

    private func contents(at revision: String, of selection: [ArtifactName]) throws -> [ArtifactName: ContentRoot] {
        let git = try requireGit()
        // Before the first commit, everything is new.
        if revision == "HEAD", try git.head().commit == nil { return [:] }
        let pointers = try pointers(at: revision).filter { selection.isEmpty || selection.contains($0.artifact) }
        return Dictionary(pointers.map { ($0.artifact, $0.content) }, uniquingKeysWith: { first, _ in first })
    }

    /// The newest `limit` commits that changed the pointer of `artifact`, or any pointer, newest first.
    ///
    /// - Throws: kind `.notFound` if neither a commit nor the work tree knows `artifact`.
    package func history(of artifact: ArtifactName? = nil, limit: Int = 50) throws -> [HistoryEntry] {
        let git = try requireGit()
        var entries: [HistoryEntry] = []
        if try git.head().commit != nil {
            let path = try gitPath(of: artifact.map(Pointer.path(of:)) ?? "registry")
            // Commits that touch other files of `registry/` only are left out, so that more may have to be looked at.
            var (seen, window) = (0, limit)
            while true {
                let commits = try git.log(touching: path, limit: window)
                for commit in commits.dropFirst(seen) where entries.count < limit {
                    if let entry = try entry(of: commit, artifact) { entries.append(entry) }
                }
                guard entries.count < limit, commits.count == window, window < Int.max / 2 else { break }
                (seen, window) = (window, window * 2)
            }
        }
        if let artifact, entries.isEmpty { _ = try requirePointer(of: artifact) }
        return entries
    }

    private func entry(of commit: GitCommit, _ artifact: ArtifactName?) throws -> HistoryEntry? {
        let changes = try changes(of: commit.id).filter { artifact == nil || $0.artifact == artifact }
        guard !changes.isEmpty else { return nil }
        return HistoryEntry(
            commit: commit.id, author: commit.author, time: commit.time, summary: commit.summary, changes: changes)
    }

    /// The pointers that `commit` changed, by name.
    private func changes(of commit: String) throws -> [HistoryEntry.Change] {
        let now = try pointersIfAny(at: commit)
        // The first commit has no parent to compare with.
        let before = (try? pointersIfAny(at: commit + "^")) ?? [:]
        return Set(now.keys).union(before.keys).filter { now[$0] != before[$0] }.sorted()
            .map { HistoryEntry.Change(artifact: $0, content: now[$0]) }
    }

    private func pointersIfAny(at revision: String) throws -> [ArtifactName: ContentRoot] {
        Dictionary(
            try pointers(at: revision).map { ($0.artifact, $0.content) }, uniquingKeysWith: { first, _ in first })
    }

    /// The pointers of the newest `limit` commits that changed any, newest first; those that cannot be read are left out.
    func committedPointers(limit: Int) throws -> [(commit: String, pointer: Pointer)] {
        guard let git = try git, try git.head().commit != nil else { return [] }
        return try git.log(touching: try gitPath(of: "registry"), limit: limit).flatMap { commit in
            ((try? pointers(at: commit.id)) ?? []).map { (commit.id, $0) }
        }
    }
}

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
        if let new {
            after = try contents(at: new, of: selection)
        } else {
            for pointer in try pointers() where selection.isEmpty || selection.contains(pointer.artifact) {
                let path = absolute(pointer.path)
                if FileSystem.exists(path) { after[pointer.artifact] = try await store.identify(path: path) }
            }
        }
        var differences: [ArtifactDifference] = []
        for artifact in Set(before.keys).union(after.keys).sorted(by: { $0.description < $1.description }) {
            let (old, new) = (before[artifact], after[artifact])
            if old == new { continue }
            var changes: [ContentChange]?
            if let old, let new, try store.contains(old) {
                if try store.contains(new) {
                    changes = try await store.compare(old, new)
                } else if let pointer = try pointer(of: artifact) {
                    changes = try await store.compare(old, with: absolute(pointer.path))
                }
            }
            differences.append(
                ArtifactDifference(
                    artifact: artifact, state: old == nil ? .added : new == nil ? .removed : .modified, old: old,
                    new: new, changes: changes))
        }
        return differences
    }

    private func contents(at revision: String, of selection: [ArtifactName]) throws -> [ArtifactName: ContentRoot] {
        let git = try requireGit()
        // Before the first commit, everything is new.
        if revision == "HEAD", try git.head().commit == nil { return [:] }
        let pointers = try pointers(at: revision).filter { selection.isEmpty || selection.contains($0.artifact) }
        return Dictionary(pointers.map { ($0.artifact, $0.content) }, uniquingKeysWith: { first, _ in first })
    }

    /// The commits that changed the pointer of `artifact`, or any pointer, newest first.
    package func history(of artifact: ArtifactName? = nil, limit: Int = 50) throws -> [HistoryEntry] {
        let git = try requireGit()
        guard try git.head().commit != nil else { return [] }
        let path = artifact.map(Pointer.path(of:)) ?? "registry"
        // Commits that touch other files of `registry/` only are left out.
        return try git.log(touching: try gitPath(of: path), limit: limit).compactMap { commit in
            let changes = try changes(of: commit.id).filter { artifact == nil || $0.artifact == artifact }
            guard !changes.isEmpty else { return nil }
            return HistoryEntry(
                commit: commit.id, author: commit.author, time: commit.time, summary: commit.summary, changes: changes)
        }
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

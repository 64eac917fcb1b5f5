internal import Basics
internal import CLibgit2

extension GitRepository {
    /// Every version of the files below `folder` that satisfy `isWanted` and that anything in the repository needs: commits of
    /// all branches, remote-tracking branches, tags, stashes and working trees, unfinished merges and rebases, indexes, and
    /// reflogs. Versions that only commits outside of `retention` hold come too, marked as not kept.
    ///
    /// - Parameter folder: from the root of the working tree.
    /// - Throws: kind `.damaged` naming the reference, index or object that cannot be read. What a shallow clone leaves out is
    ///   not missed.
    /// - Complexity: each commit is read once, each folder and file of one content once.
    package func everyVersion(
        below folder: String, retention: GitRetention, isWanted: @escaping (_ path: String) -> Bool
    ) throws -> [GitFileVersion] {
        let shared = sharedFolder
        let points = try GitStartingPoints(folder: shared, reflogSince: retention.reflogSince)
        return try withRepository { repository in
            var walk = RetentionWalk(repository, folder: folder, shared: shared, isWanted: isWanted)
            for place in try points.places { try walk.readIndex(of: place) }
            try walk.visit(points.points, retention.history)
            return walk.versions
        }
    }

    /// The folder that all working trees of this repository share, absolute.
    package var sharedFolder: String {
        (try? withRepository { repository in
            git_repository_commondir(repository).map { FileSystem.absolute(String(cString: $0)) }
        }) ?? gitFolder
    }

    /// The root folders of all working trees that exist, this one first.
    package func workingTrees() throws -> [String] {
        let shared = sharedFolder
        var trees = [workingTree]
        if FileSystem.name(of: shared) == ".git" { trees.append(FileSystem.parent(of: shared)) }
        let linked = FileSystem.join(shared, "worktrees")
        if FileSystem.isDirectory(linked) {
            for entry in try FileSystem.list(linked) {
                let link = FileSystem.join(linked, entry + "/gitdir")
                guard let text = try? FileSystem.readText(link) else { continue }
                let path = String(text.prefix { $0 != "\n" })
                trees.append(FileSystem.parent(of: FileSystem.absolute(path, from: FileSystem.join(linked, entry))))
            }
        }
        var seen: Set<String> = []
        return trees.filter { FileSystem.isDirectory($0) && seen.insert(FileSystem.resolved($0) ?? $0).inserted }
    }
}

/// One walk over commits, trees and indexes, in which everything is looked at once.
private struct RetentionWalk {
    private struct PlacedTree: Hashable {
        var name: GitObjectName
        var path: String
    }

    private let repository: OpaquePointer
    private let folder: String
    private let isWanted: (String) -> Bool
    /// Commits whose parents a shallow clone leaves out.
    private let shallow: Set<GitObjectName>
    private var seenRoots: Set<GitObjectName> = []
    private var seenTrees: Set<PlacedTree> = []
    private var seenFiles: Set<PlacedTree> = []
    private(set) var versions: [GitFileVersion] = []

    init(_ repository: OpaquePointer, folder: String, shared: String, isWanted: @escaping (String) -> Bool) {
        self.repository = repository
        self.folder = folder
        self.isWanted = isWanted
        shallow = .shallowBoundary(in: shared)
    }

    // MARK: Commits

    private struct Commit {
        var name: GitObjectName
        var time: Int64
        var parents: [GitObjectName]
    }

    mutating func visit(_ points: [GitStartingPoints.Point], _ extent: GitRetention.Extent) throws {
        var commits: [GitObjectName: Commit] = [:]
        var starts: [(commit: GitObjectName, isBranch: Bool)] = []
        var pending: [GitObjectName] = []
        var expired: [GitObjectName] = []
        for point in points {
            for name in try commitNames(of: point) {
                if point.isExpired {
                    expired.append(name)
                } else {
                    starts.append((name, point.isBranch))
                    pending.append(name)
                }
            }
        }
        try read(pending, into: &commits)
        let kept = keptCommits(starts, extent, commits)
        // What is kept comes first, so that a version that both sides hold counts as kept.
        for name in kept { try visitTree(ofCommit: name, isKept: true) }
        // What nobody needs may be gone in part.
        for name in expired { try? read([name], into: &commits) }
        for name in commits.keys where !kept.contains(name) { try? visitTree(ofCommit: name, isKept: false) }
    }

    /// Reads the commits and all their ancestors.
    private func read(_ names: [GitObjectName], into commits: inout [GitObjectName: Commit]) throws {
        var pending = names
        while let name = pending.popLast() {
            guard commits[name] == nil else { continue }
            let commit = try read(name)
            commits[name] = commit
            pending += commit.parents
        }
    }

    private func read(_ name: GitObjectName) throws -> Commit {
        var id = name.oid
        var commit: OpaquePointer?
        try check(git_commit_lookup(&commit, repository, &id), "commit \(name.hex)")
        defer { git_commit_free(commit) }
        var parents: [GitObjectName] = []
        if !shallow.contains(name) {
            for index in 0..<git_commit_parentcount(commit) {
                if let parent = git_commit_parent_id(commit, index) { parents.append(GitObjectName(parent.pointee)) }
            }
        }
        return Commit(name: name, time: git_commit_time(commit), parents: parents)
    }

    private func keptCommits(
        _ starts: [(commit: GitObjectName, isBranch: Bool)], _ extent: GitRetention.Extent,
        _ commits: [GitObjectName: Commit]
    ) -> Set<GitObjectName> {
        var kept = Set(starts.map(\.commit))
        switch extent {
        case .all: return Set(commits.keys)
        case .since(let time):
            let seconds = time.milliseconds / 1000
            kept.formUnion(commits.values.filter { $0.time >= seconds }.map(\.name))
        case .newest(let count):
            for start in Set(starts.filter(\.isBranch).map(\.commit)) {
                var queue = [start]
                var seen: Set<GitObjectName> = [start]
                var remaining = count
                while remaining > 0, let position = newest(queue, commits) {
                    let name = queue.remove(at: position)
                    kept.insert(name)
                    remaining -= 1
                    for parent in commits[name]?.parents ?? [] where seen.insert(parent).inserted {
                        queue.append(parent)
                    }
                }
            }
        }
        return kept
    }

    private func newest(_ queue: [GitObjectName], _ commits: [GitObjectName: Commit]) -> Int? {
        queue.indices.max { (commits[queue[$0]]?.time ?? 0) < (commits[queue[$1]]?.time ?? 0) }
    }

    /// The commits that a starting point stands for: its own; for a stash those of its parts too.
    private mutating func commitNames(of point: GitStartingPoints.Point) throws -> [GitObjectName] {
        var id = point.name.oid
        var object: OpaquePointer?
        let code = git_object_lookup(&object, repository, &id, GIT_OBJECT_ANY)
        if code == GIT_ENOTFOUND.rawValue, !point.mustExist { return [] }
        try check(code, "what \(point.origin) names, \(point.name.hex)")
        defer { git_object_free(object) }
        var target: OpaquePointer?
        guard git_object_peel(&target, object, GIT_OBJECT_COMMIT) == 0 else {
            // A tag of a tree.
            if !point.isExpired { try visitTree(of: object, holder: point.origin) }
            return []
        }
        defer { git_object_free(target) }
        guard let found = git_object_id(target) else { return [] }
        var names = [GitObjectName(found.pointee)]
        if point.isStash {
            for index in 1..<max(1, git_commit_parentcount(target)) {
                if let parent = git_commit_parent_id(target, index) { names.append(GitObjectName(parent.pointee)) }
            }
        }
        return names
    }

    // MARK: Trees

    private mutating func visitTree(ofCommit name: GitObjectName, isKept: Bool) throws {
        var id = name.oid
        var commit: OpaquePointer?
        try check(git_commit_lookup(&commit, repository, &id), "commit \(name.hex)")
        defer { git_commit_free(commit) }
        guard let root = git_commit_tree_id(commit), seenRoots.insert(GitObjectName(root.pointee)).inserted else {
            return
        }
        var tree: OpaquePointer?
        try check(git_commit_tree(&tree, commit), "the tree of commit \(name.hex)")
        defer { git_tree_free(tree) }
        try visit(tree, holder: "commit \(name.hex.prefix(12))", isKept: isKept)
    }

    private mutating func visitTree(of object: OpaquePointer?, holder: String) throws {
        var tree: OpaquePointer?
        guard git_object_peel(&tree, object, GIT_OBJECT_TREE) == 0 else { return }
        defer { git_object_free(tree) }
        try visit(tree, holder: holder, isKept: true)
    }

    /// - Parameter tree: the root of a commit.
    private mutating func visit(_ tree: OpaquePointer?, holder: String, isKept: Bool) throws {
        var entry: OpaquePointer?
        let code = git_tree_entry_bypath(&entry, tree, folder)
        if code == GIT_ENOTFOUND.rawValue { return }
        try check(code, "`\(folder)` of \(holder)")
        defer { git_tree_entry_free(entry) }
        guard git_tree_entry_type(entry) == GIT_OBJECT_TREE, let id = git_tree_entry_id(entry) else { return }
        try visitFolder(GitObjectName(id.pointee), path: folder, holder: holder, isKept: isKept)
    }

    private mutating func visitFolder(
        _ name: GitObjectName, path: String, holder: String, isKept: Bool
    ) throws {
        guard seenTrees.insert(PlacedTree(name: name, path: path)).inserted else { return }
        var id = name.oid
        var tree: OpaquePointer?
        try check(git_tree_lookup(&tree, repository, &id), "the folder `\(path)` of \(holder)")
        defer { git_tree_free(tree) }
        for index in 0..<git_tree_entrycount(tree) {
            guard let entry = git_tree_entry_byindex(tree, index), let text = git_tree_entry_name(entry),
                let id = git_tree_entry_id(entry)
            else { continue }
            let below = path + "/" + String(cString: text)
            let child = GitObjectName(id.pointee)
            switch git_tree_entry_type(entry) {
            case GIT_OBJECT_BLOB: try visitFile(child, path: below, holder: holder, isKept: isKept)
            case GIT_OBJECT_TREE: try visitFolder(child, path: below, holder: holder, isKept: isKept)
            default: break  // a submodule
            }
        }
    }

    private mutating func visitFile(_ name: GitObjectName, path: String, holder: String, isKept: Bool) throws {
        guard isWanted(path), seenFiles.insert(PlacedTree(name: name, path: path)).inserted else { return }
        var id = name.oid
        var blob: OpaquePointer?
        try check(git_blob_lookup(&blob, repository, &id), "`\(path)` of \(holder)")
        defer { git_blob_free(blob) }
        let size = Int(git_blob_rawsize(blob))
        let bytes = [UInt8](UnsafeRawBufferPointer(start: git_blob_rawcontent(blob), count: size))
        versions.append(GitFileVersion(path: path, bytes: bytes, holder: holder, isKept: isKept))
    }

    // MARK: Indexes

    /// What is staged in the working tree whose own folder is `place`, also the sides of conflicts.
    mutating func readIndex(of place: String) throws {
        let path = FileSystem.join(place, "index")
        guard FileSystem.exists(path) else { return }
        var index: OpaquePointer?
        let code = git_index_open(&index, path)
        defer { git_index_free(index) }
        guard code == 0 else {
            throw LibGit2.systemFailure("read the index `\(path)`")
                ?? MLOpsError(
                    .damaged, "git's index `\(path)` cannot be read: \(printable(LibGit2.lastMessage))",
                    hint: "run `git status`; split and sparse indexes are undone with "
                        + "`git update-index --no-split-index` and `git sparse-checkout reapply --no-sparse-index`")
        }
        let prefix = folder + "/"
        var position = 0
        guard git_index_find_prefix(&position, index, prefix) == 0 else { return }
        while position < git_index_entrycount(index), let entry = git_index_get_byindex(index, position)?.pointee {
            let file = String(cString: entry.path)
            guard file.hasPrefix(prefix) else { break }
            // Links and submodules are no files of their own.
            if entry.mode & 0o170000 == 0o100000 {
                try visitFile(GitObjectName(entry.id), path: file, holder: "the index `\(path)`", isKept: true)
            }
            position += 1
        }
    }

    private func check(_ code: Int32, _ what: @autoclosure () -> String) throws {
        guard code < 0 else { return }
        throw LibGit2.systemFailure("read \(what())")
            ?? MLOpsError(
                .damaged, "git cannot read \(what()): \(printable(LibGit2.lastMessage))",
                hint: "run `git fsck`; in a partial clone `git fetch --refetch` brings what was left out")
    }
}

internal import Basics
internal import CLibgit2

extension GitRepository {
    /// The commit that `revision` names: a hash, branch, tag, `HEAD~2` and whatever else git understands.
    ///
    /// - Throws: kind `.notFound` if there is no such commit, `.usage` if the name is ambiguous.
    package func commit(_ revision: String) throws -> GitCommit {
        try withCommit(revision) { _, commit in GitCommit(commit) }
    }

    /// The bytes of the file `path` as `revision` holds them; nil if the revision has no such file.
    package func file(_ path: String, at revision: String) throws -> [UInt8]? {
        let relative = try relative(path)
        return try withCommit(revision) { repository, commit in
            guard var id = try entry(relative, of: commit), id.isBlob else { return nil }
            var blob: OpaquePointer?
            try LibGit2.check(git_blob_lookup(&blob, repository, &id.oid), "read `\(path)` of `\(revision)`")
            defer { git_blob_free(blob) }
            let size = Int(git_blob_rawsize(blob))
            return [UInt8](UnsafeRawBufferPointer(start: git_blob_rawcontent(blob), count: size))
        }
    }

    /// The paths of all files below the folder `folder` (`""` or `.` for everything) as `revision` holds them, sorted.
    package func files(under folder: String, at revision: String) throws -> [String] {
        let relative = try relative(folder)
        return try withCommit(revision) { repository, commit in
            guard let id = try entry(relative, of: commit), !id.isBlob else { return [] }
            var paths: [String] = []
            try collectFiles(of: id.oid, prefix: relative.isEmpty ? "" : relative + "/", repository, into: &paths)
            return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }

    /// The commits up to `revision` that changed `path`, newest first, as `git log -- path` simplifies history.
    ///
    /// - Parameter limit: at most so many commits.
    package func log(touching path: String, from revision: String = "HEAD", limit: Int) throws -> [GitCommit] {
        let relative = try relative(path)
        if revision == "HEAD", try head().commit == nil { return [] }
        return try withCommit(revision) { repository, start in
            var found: [GitCommit] = []
            var queue = CommitQueue()
            defer { queue.free() }
            try queue.insert(git_commit_id(start).pointee, repository)
            while found.count < limit, let commit = queue.popNewest() {
                defer { git_commit_free(commit) }
                let mine = try entry(relative, of: commit)
                var parents: [(id: git_oid, isSame: Bool)] = []
                for index in 0..<git_commit_parentcount(commit) {
                    var parent: OpaquePointer?
                    // A shallow clone lacks the parents of its oldest commits.
                    guard git_commit_parent(&parent, commit, index) == 0, let parent else { continue }
                    defer { git_commit_free(parent) }
                    parents.append((git_commit_id(parent).pointee, try entry(relative, of: parent) == mine))
                }
                if let same = parents.first(where: \.isSame) {
                    try queue.insert(same.id, repository)
                } else {
                    if !(parents.isEmpty && mine == nil) { found.append(GitCommit(commit)) }
                    for parent in parents { try queue.insert(parent.id, repository) }
                }
            }
            return found
        }
    }

    /// Runs `body` with the repository and the commit that `revision` names.
    private func withCommit<Result: Sendable>(
        _ revision: String, _ body: (_ repository: OpaquePointer, _ commit: OpaquePointer) throws -> Result
    ) throws -> Result {
        try withRepository { repository in
            var object: OpaquePointer?
            let code = git_revparse_single(&object, repository, revision)
            defer { git_object_free(object) }
            if code == GIT_EAMBIGUOUS.rawValue {
                throw MLOpsError(
                    .usage, "git revision `\(printable(revision))` is ambiguous",
                    hint: "give more digits of the commit's id")
            }
            var commit: OpaquePointer?
            guard code == 0, git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0, let commit else {
                throw MLOpsError(
                    .notFound, "git revision `\(printable(revision))` does not exist",
                    hint: "run `git log --oneline --all` to see the commits that do")
            }
            defer { git_object_free(commit) }
            return try body(repository, commit)
        }
    }

    /// What a commit has at `path` (the root for an empty path), or nil.
    private func entry(_ path: String, of commit: OpaquePointer) throws -> TreeEntry? {
        var tree: OpaquePointer?
        try LibGit2.check(git_commit_tree(&tree, commit), "read the tree of a commit")
        defer { git_tree_free(tree) }
        if path.isEmpty { return TreeEntry(oid: git_tree_id(tree).pointee, isBlob: false) }
        var entry: OpaquePointer?
        let code = git_tree_entry_bypath(&entry, tree, path)
        if code == GIT_ENOTFOUND.rawValue { return nil }
        try LibGit2.check(code, "look for `\(path)` in a commit")
        defer { git_tree_entry_free(entry) }
        return TreeEntry(oid: git_tree_entry_id(entry).pointee, isBlob: git_tree_entry_type(entry) == GIT_OBJECT_BLOB)
    }

    private func collectFiles(
        of id: git_oid, prefix: String, _ repository: OpaquePointer, into paths: inout [String]
    ) throws {
        var id = id
        var tree: OpaquePointer?
        try LibGit2.check(git_tree_lookup(&tree, repository, &id), "read the folder `\(prefix)` of a commit")
        defer { git_tree_free(tree) }
        for index in 0..<git_tree_entrycount(tree) {
            guard let entry = git_tree_entry_byindex(tree, index), let name = git_tree_entry_name(entry) else {
                continue
            }
            let path = prefix + String(cString: name)
            switch git_tree_entry_type(entry) {
            case GIT_OBJECT_BLOB: paths.append(path)
            case GIT_OBJECT_TREE:
                try collectFiles(of: git_tree_entry_id(entry).pointee, prefix: path + "/", repository, into: &paths)
            default: break  // a submodule
            }
        }
    }
}

/// What a tree holds under one name.
private struct TreeEntry: Equatable {
    var oid: git_oid
    var isBlob: Bool

    static func == (left: TreeEntry, right: TreeEntry) -> Bool {
        withUnsafePointer(to: left.oid) { first in withUnsafePointer(to: right.oid) { git_oid_equal(first, $0) == 1 } }
            && left.isBlob == right.isBlob
    }
}

/// Commits still to be visited, each once, newest first.
private struct CommitQueue {
    private var commits: [(time: git_time_t, pointer: OpaquePointer)] = []
    private var seen: Set<String> = []

    mutating func insert(_ id: git_oid, _ repository: OpaquePointer) throws {
        var id = id
        guard seen.insert(LibGit2.hex(&id)).inserted else { return }
        var commit: OpaquePointer?
        try LibGit2.check(git_commit_lookup(&commit, repository, &id), "read commit \(LibGit2.hex(&id))")
        guard let commit else { return }
        let time = git_commit_time(commit)
        let position = commits.firstIndex { $0.time >= time } ?? commits.endIndex
        commits.insert((time, commit), at: position)
    }

    mutating func popNewest() -> OpaquePointer? { commits.popLast()?.pointer }

    func free() { for commit in commits { git_commit_free(commit.pointer) } }
}

internal import Basics
internal import CLibgit2

/// A file of a commit that is about to be pushed.
package struct OutgoingFile: Sendable {
    package var path: String
    package var bytes: [UInt8]
    /// A commit that has the file so.
    package var commit: String
    /// Whether one of the pushed tips has it, not only a commit before.
    package var isAtTip: Bool
}

extension GitRepository {
    /// The files below `folder` in every commit that `tips` reach and the other side lacks, each content once.
    ///
    /// - Parameters:
    ///   - tips: ids of what is pushed: commits, or tags of commits; other objects are left out.
    ///   - remote: git's name of the other side, whose branches were seen before.
    ///   - known: ids that the other side says it has; those that are unknown here are left out.
    package func outgoingFiles(
        under folder: String, tips: [String], remote: String, known: [String]
    ) throws -> [OutgoingFile] {
        let boundary = Set.shallowBoundary(in: try commonFolder())
        return try withRepository { repository in
            let starts = tips.compactMap { LibGit2.commit($0, repository) }
            let seen = known.compactMap { LibGit2.commit($0, repository) } + LibGit2.branches(of: remote, repository)
            let commits =
                boundary.isEmpty
                ? try LibGit2.commits(from: starts, without: seen, repository)
                : try ShallowWalk(repository: repository, boundary: boundary).commits(from: starts, without: seen)
            let tipIds = Set(starts.map { GitObjectName($0) })
            var collector = FileCollector(repository: repository, folder: folder)
            for commit in commits { try collector.collect(commit, isTip: tipIds.contains(GitObjectName(commit))) }
            return collector.files
        }
    }
}

extension LibGit2 {
    /// The commit that the object with the hex id `id` is or tags; nil if there is none here.
    static func commit(_ id: String, _ repository: OpaquePointer) -> git_oid? {
        var oid = git_oid()
        return git_oid_fromstr(&oid, id) == 0 ? commit(oid, repository) : nil
    }

    fileprivate static func commit(_ id: git_oid, _ repository: OpaquePointer) -> git_oid? {
        var id = id
        var object: OpaquePointer?
        guard git_object_lookup(&object, repository, &id, GIT_OBJECT_ANY) == 0 else { return nil }
        defer { git_object_free(object) }
        var commit: OpaquePointer?
        guard git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0 else { return nil }
        defer { git_object_free(commit) }
        return git_object_id(commit)?.pointee
    }

    /// The commits of the branches of `remote` as they were seen last.
    fileprivate static func branches(of remote: String, _ repository: OpaquePointer) -> [git_oid] {
        // A remote without a name (its URL was given) has no branches here; signs of patterns must not match others.
        guard !remote.isEmpty, remote.utf8.allSatisfy({ $0 > 0x20 && !"*?[\\:".utf8.contains($0) }) else { return [] }
        var references: OpaquePointer?
        guard git_reference_iterator_glob_new(&references, repository, "refs/remotes/\(remote)/*") == 0 else {
            return []
        }
        defer { git_reference_iterator_free(references) }
        var commits: [git_oid] = []
        var name: UnsafePointer<CChar>?
        while git_reference_next_name(&name, references) == 0, let name {
            var id = git_oid()
            guard git_reference_name_to_id(&id, repository, name) == 0 else { continue }
            if let commit = commit(id, repository) { commits.append(commit) }
        }
        return commits
    }

    /// The commits that `starts` reach and `seen` do not, newest first.
    fileprivate static func commits(
        from starts: [git_oid], without seen: [git_oid], _ repository: OpaquePointer
    ) throws -> [git_oid] {
        var walk: OpaquePointer?
        try check(git_revwalk_new(&walk, repository), "walk the commits")
        defer { git_revwalk_free(walk) }
        git_revwalk_sorting(walk, GIT_SORT_TIME.rawValue)
        for var commit in starts { try check(git_revwalk_push(walk, &commit), "walk the commits") }
        for var commit in seen { git_revwalk_hide(walk, &commit) }
        var commits: [git_oid] = []
        var id = git_oid()
        while true {
            let code = git_revwalk_next(&id, walk)
            if code == GIT_ITEROVER.rawValue { return commits }
            try check(code, "walk the commits")
            commits.append(id)
        }
    }
}

/// A walk over the commits of a shallow clone, whose boundary libgit2 before 1.7 takes for commits with lost parents.
private struct ShallowWalk {
    let repository: OpaquePointer
    /// Commits whose parents are not here.
    let boundary: Set<GitObjectName>

    /// The commits that `starts` reach and `seen` do not, newest first.
    ///
    /// - Complexity: reads all commits of the clone, which are few as a rule.
    func commits(from starts: [git_oid], without seen: [git_oid]) throws -> [git_oid] {
        let hidden = try ancestors(of: seen, without: [:])
        return try ancestors(of: starts, without: hidden).sorted { $0.value > $1.value }.map(\.key.oid)
    }

    /// The times of `starts` and all their ancestors, but for those that `hidden` has.
    private func ancestors(
        of starts: [git_oid], without hidden: [GitObjectName: git_time_t]
    ) throws -> [GitObjectName: git_time_t] {
        var times: [GitObjectName: git_time_t] = [:]
        var pending = starts.map { GitObjectName($0) }
        while let name = pending.popLast() {
            guard times[name] == nil, hidden[name] == nil else { continue }
            var id = name.oid
            var commit: OpaquePointer?
            try LibGit2.check(git_commit_lookup(&commit, repository, &id), "read commit \(name.hex)")
            defer { git_commit_free(commit) }
            times[name] = git_commit_time(commit)
            if boundary.contains(name) { continue }
            for index in 0..<git_commit_parentcount(commit) {
                if let parent = git_commit_parent_id(commit, index) { pending.append(GitObjectName(parent.pointee)) }
            }
        }
        return times
    }
}

/// The files below one folder of several commits, each path with each content once.
private struct FileCollector {
    let repository: OpaquePointer
    let folder: String
    private(set) var files: [OutgoingFile] = []
    private var seenTrees: Set<String> = []
    private var places: [String: Int] = [:]

    init(repository: OpaquePointer, folder: String) {
        self.repository = repository
        self.folder = folder
    }

    mutating func collect(_ id: git_oid, isTip: Bool) throws {
        var id = id
        var commit: OpaquePointer?
        try LibGit2.check(git_commit_lookup(&commit, repository, &id), "read commit \(LibGit2.hex(id))")
        defer { git_commit_free(commit) }
        var tree: OpaquePointer?
        try LibGit2.check(git_commit_tree(&tree, commit), "read the tree of commit \(LibGit2.hex(id))")
        defer { git_tree_free(tree) }
        var entry: OpaquePointer?
        guard git_tree_entry_bypath(&entry, tree, folder) == 0 else { return }
        defer { git_tree_entry_free(entry) }
        guard git_tree_entry_type(entry) == GIT_OBJECT_TREE, let below = git_tree_entry_id(entry)?.pointee else {
            return
        }
        if !seenTrees.insert(LibGit2.hex(below)).inserted, !isTip { return }
        try LibGit2.visitFiles(of: below, prefix: folder + "/", repository) { path, file in
            let key = "\(LibGit2.hex(file.id)) \(path)"
            if let place = places[key] {
                if isTip { files[place].isAtTip = true }
                return
            }
            places[key] = files.count
            files.append(
                OutgoingFile(
                    path: path, bytes: try LibGit2.bytes(ofBlob: file.id, repository), commit: LibGit2.hex(id),
                    isAtTip: isTip))
        }
    }
}

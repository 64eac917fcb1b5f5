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
        try withRepository { repository -> [OutgoingFile] in
            let commits = tips.compactMap { LibGit2.commit($0, repository) }
            var walk: OpaquePointer?
            try LibGit2.check(git_revwalk_new(&walk, repository), "walk the commits")
            defer { git_revwalk_free(walk) }
            git_revwalk_sorting(walk, GIT_SORT_TIME.rawValue)
            for var commit in commits { try LibGit2.check(git_revwalk_push(walk, &commit), "walk the commits") }
            for id in known {
                guard var commit = LibGit2.commit(id, repository) else { continue }
                git_revwalk_hide(walk, &commit)
            }
            // A remote without a name (its URL was given) has no branches here; signs of patterns must not match others.
            if !remote.isEmpty, remote.utf8.allSatisfy({ $0 > 0x20 && !"*?[\\:".utf8.contains($0) }) {
                git_revwalk_hide_glob(walk, "refs/remotes/\(remote)/*")
            }
            let tipIds = Set(commits.map { LibGit2.hex($0) })
            var collector = FileCollector(repository: repository, folder: folder)
            var id = git_oid()
            while true {
                let code = git_revwalk_next(&id, walk)
                if code == GIT_ITEROVER.rawValue { return collector.files }
                try LibGit2.check(code, "walk the commits")
                try collector.collect(id, isTip: tipIds.contains(LibGit2.hex(id)))
            }
        }
    }
}

extension LibGit2 {
    /// The commit that the object with the hex id `id` is or tags; nil if there is none here.
    static func commit(_ id: String, _ repository: OpaquePointer) -> git_oid? {
        var oid = git_oid()
        guard git_oid_fromstr(&oid, id) == 0 else { return nil }
        var object: OpaquePointer?
        guard git_object_lookup(&object, repository, &oid, GIT_OBJECT_ANY) == 0 else { return nil }
        defer { git_object_free(object) }
        var commit: OpaquePointer?
        guard git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0 else { return nil }
        defer { git_object_free(commit) }
        return git_object_id(commit)?.pointee
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

internal import Basics
internal import CLibgit2

extension GitRepository {
    /// The ids of the files below `folder` as `revision` holds them, by path; links and submodules are left out.
    package func fileIds(under folder: String, at revision: String) throws -> [String: String] {
        var ids: [String: String] = [:]
        try visit(folder, at: revision) { path, file, _ in ids[path] = LibGit2.hex(file.id) }
        return ids
    }

    /// The files of `revision` that hold at most `byteCount` bytes, with what they hold, sorted by path.
    ///
    /// A path that is not UTF-8 has U+FFFD in it.
    package func smallFiles(at revision: String, upTo byteCount: Int) throws -> [(path: String, bytes: [UInt8])] {
        var found: [(path: String, bytes: [UInt8])] = []
        try visit("", at: revision) { path, file, repository in
            guard let size = try LibGit2.size(ofBlob: file.id, repository), size <= byteCount else { return }
            found.append((path, try LibGit2.bytes(ofBlob: file.id, repository)))
        }
        return found.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }

    private func visit(
        _ folder: String, at revision: String,
        _ body: (_ path: String, _ file: LibGit2.File, _ repository: OpaquePointer) throws -> Void
    ) throws {
        try withRepository { repository in
            var object: OpaquePointer?
            guard git_revparse_single(&object, repository, revision) == 0 else {
                throw MLOpsError(
                    .notFound, "git revision `\(printable(revision))` does not exist",
                    hint: "run `git log --oneline --all` to see the commits that do")
            }
            defer { git_object_free(object) }
            var tree: OpaquePointer?
            try LibGit2.check(
                git_object_peel(&tree, object, GIT_OBJECT_TREE), "read the tree of `\(revision)`")
            defer { git_object_free(tree) }
            guard var id = git_object_id(tree)?.pointee else { return }
            if !folder.isEmpty {
                var entry: OpaquePointer?
                guard git_tree_entry_bypath(&entry, tree, folder) == 0 else { return }
                defer { git_tree_entry_free(entry) }
                guard git_tree_entry_type(entry) == GIT_OBJECT_TREE, let below = git_tree_entry_id(entry)?.pointee
                else { return }
                id = below
            }
            try LibGit2.visitFiles(of: id, prefix: folder.isEmpty ? "" : folder + "/", repository) {
                try body($0, $1, repository)
            }
        }
    }
}

extension LibGit2 {
    /// An entry of a tree that is a regular file.
    struct File {
        var id: git_oid
        var isExecutable: Bool
    }

    static func hex(_ id: git_oid) -> String { withUnsafePointer(to: id) { hex($0) } }

    /// Calls `body` for every regular file below the tree `id`.
    static func visitFiles(
        of id: git_oid, prefix: String, _ repository: OpaquePointer,
        _ body: (_ path: String, _ file: File) throws -> Void
    ) throws {
        // A hostile tree could nest without end; no path of a file system is longer.
        guard prefix.utf8.count <= 4096 else { throw MLOpsError(.damaged, "the folders of a commit nest too deeply") }
        var id = id
        var tree: OpaquePointer?
        try check(git_tree_lookup(&tree, repository, &id), "read the folder `\(printable(prefix))` of a commit")
        defer { git_tree_free(tree) }
        for index in 0..<git_tree_entrycount(tree) {
            guard let entry = git_tree_entry_byindex(tree, index), let name = git_tree_entry_name(entry),
                let entryId = git_tree_entry_id(entry)?.pointee
            else { continue }
            let path = prefix + String(cString: name)
            switch git_tree_entry_type(entry) {
            case GIT_OBJECT_TREE: try visitFiles(of: entryId, prefix: path + "/", repository, body)
            case GIT_OBJECT_BLOB where git_tree_entry_filemode(entry) != GIT_FILEMODE_LINK:
                let isExecutable = git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB_EXECUTABLE
                try body(path, File(id: entryId, isExecutable: isExecutable))
            default: break
            }
        }
    }

    /// The bytes of a blob; nil if it is not here, as in a partial clone.
    static func size(ofBlob id: git_oid, _ repository: OpaquePointer) throws -> Int? {
        var id = id
        var database: OpaquePointer?
        try check(git_repository_odb(&database, repository), "open its objects")
        defer { git_odb_free(database) }
        var size = 0
        var type = GIT_OBJECT_INVALID
        return git_odb_read_header(&size, &type, database, &id) == 0 ? size : nil
    }

    static func bytes(ofBlob id: git_oid, _ repository: OpaquePointer) throws -> [UInt8] {
        var id = id
        var blob: OpaquePointer?
        try check(git_blob_lookup(&blob, repository, &id), "read a file of a commit")
        defer { git_blob_free(blob) }
        return [UInt8](UnsafeRawBufferPointer(start: git_blob_rawcontent(blob), count: Int(git_blob_rawsize(blob))))
    }
}

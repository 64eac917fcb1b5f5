internal import Basics
internal import CLibgit2

extension GitRepository {
    /// Whether a tracked file differs from the last commit, staged or not; untracked files do not count.
    package func isDirty() throws -> Bool { try !changedFiles().isEmpty }

    /// The tracked files that differ from the last commit, staged or not, sorted.
    package func changedFiles() throws -> [String] {
        try withRepository { repository in
            var options = git_status_options()
            try LibGit2.check(
                git_status_options_init(&options, UInt32(GIT_STATUS_OPTIONS_VERSION)), "prepare the status")
            options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR
            options.flags = 0
            var list: OpaquePointer?
            try LibGit2.check(git_status_list_new(&list, repository, &options), "compare files with the last commit")
            defer { git_status_list_free(list) }
            let index = try openIndex(repository)
            defer { git_index_free(index) }
            var paths: Set<String> = []
            for position in 0..<git_status_list_entrycount(list) {
                guard let entry = git_status_byindex(list, position)?.pointee,
                    let path = (entry.index_to_workdir ?? entry.head_to_index)?.pointee.new_file.path
                else { continue }
                // libgit2 takes files that a sparse checkout leaves out for deleted ones.
                let isLeftOut =
                    entry.status == GIT_STATUS_WT_DELETED && isOutsideSparseCheckout(path, index)
                if !isLeftOut { paths.insert(String(cString: path)) }
            }
            return paths.sorted()
        }
    }

    private func isOutsideSparseCheckout(_ path: UnsafePointer<CChar>, _ index: OpaquePointer?) -> Bool {
        guard let entry = git_index_get_bypath(index, path, 0) else { return false }
        return UInt32(entry.pointee.flags_extended) & GIT_INDEX_ENTRY_SKIP_WORKTREE.rawValue != 0
    }

    /// The index as it is on disk, to be freed by the caller.
    private func openIndex(_ repository: OpaquePointer) throws -> OpaquePointer? {
        var index: OpaquePointer?
        try LibGit2.check(git_repository_index(&index, repository), "open the index")
        do { try LibGit2.check(git_index_read(index, 0), "read the index") } catch {
            git_index_free(index)
            throw error
        }
        return index
    }

    /// Whether the ignore rules (`.gitignore` at any level, `.git/info/exclude`, `core.excludesFile`) cover `path`.
    ///
    /// A path that does not exist yet counts as a file, unless it ends in `/`. Tracked files can be covered, too.
    package func isIgnored(_ path: String) throws -> Bool {
        let relative = try relative(path)
        if relative.isEmpty { return false }
        try refusePipes(above: relative)
        return try withRepository { repository in
            var answer: Int32 = 0
            try LibGit2.check(
                git_ignore_path_is_ignored(&answer, repository, relative), "match `\(path)` against the ignore rules")
            return answer != 0
        }
    }

    /// libgit2 would wait for a `.gitignore` that is a pipe.
    private func refusePipes(above relative: String) throws {
        var folder = FileSystem.parent(of: relative)
        while true {
            let file = FileSystem.join(FileSystem.join(workingTree, folder == "." ? "" : folder), ".gitignore")
            if try FileStatus.of(file)?.kind == .other {
                throw MLOpsError(.failed, "`\(file)` is no regular file", hint: "remove it: git cannot read it either")
            }
            if folder == "." || folder == "/" { return }
            folder = FileSystem.parent(of: folder)
        }
    }

    /// Whether `path` is in git's index: as a file, or as a folder with files in it.
    package func isTracked(_ path: String) throws -> Bool {
        let relative = try relative(path)
        return try withRepository { repository in
            let index = try openIndex(repository)
            defer { git_index_free(index) }
            if relative.isEmpty { return git_index_entrycount(index) > 0 }
            if git_index_get_bypath(index, relative, 0) != nil { return true }
            let folder = relative.hasSuffix("/") ? relative : relative + "/"
            return git_index_find_prefix(nil, index, folder) == 0
        }
    }
}

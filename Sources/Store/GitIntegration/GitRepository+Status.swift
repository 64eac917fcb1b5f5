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
            var paths: Set<String> = []
            for index in 0..<git_status_list_entrycount(list) {
                guard let entry = git_status_byindex(list, index)?.pointee else { continue }
                let delta = entry.index_to_workdir ?? entry.head_to_index
                if let path = delta?.pointee.new_file.path { paths.insert(String(cString: path)) }
            }
            return paths.sorted()
        }
    }

    /// Whether the ignore rules (`.gitignore` at any level, `.git/info/exclude`, `core.excludesFile`) cover `path`.
    ///
    /// A path that does not exist yet counts as a file, unless it ends in `/`. Tracked files can be covered, too.
    package func isIgnored(_ path: String) throws -> Bool {
        let relative = try relative(path)
        if relative.isEmpty { return false }
        return try withRepository { repository in
            var answer: Int32 = 0
            try LibGit2.check(
                git_ignore_path_is_ignored(&answer, repository, relative), "match `\(path)` against the ignore rules")
            return answer != 0
        }
    }

    /// Whether `path` is in git's index: as a file, or as a folder with files in it.
    package func isTracked(_ path: String) throws -> Bool {
        let relative = try relative(path)
        return try withRepository { repository in
            var index: OpaquePointer?
            try LibGit2.check(git_repository_index(&index, repository), "open the index")
            defer { git_index_free(index) }
            try LibGit2.check(git_index_read(index, 0), "read the index")
            if relative.isEmpty { return git_index_entrycount(index) > 0 }
            if git_index_get_bypath(index, relative, 0) != nil { return true }
            let folder = relative.hasSuffix("/") ? relative : relative + "/"
            return git_index_find_prefix(nil, index, folder) == 0
        }
    }
}

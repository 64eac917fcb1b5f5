internal import Basics
internal import CLibgit2

extension GitRepository {
    /// The folder that all work trees of the repository share: `.git` of the main one, as a rule.
    package func commonFolder() throws -> String {
        try withRepository { repository in
            guard let path = git_repository_commondir(repository) else { return gitFolder }
            return FileSystem.absolute(String(cString: path))
        }
    }

    /// The value of `key` in git's configuration, nil if it is not set.
    package func configuration(_ key: String) throws -> String? {
        try withRepository { repository in
            var configuration: OpaquePointer?
            try LibGit2.check(git_repository_config(&configuration, repository), "read its configuration")
            defer { git_config_free(configuration) }
            var buffer = git_buf()
            defer { git_buf_dispose(&buffer) }
            let code = git_config_get_string_buf(&buffer, configuration, key)
            if code == GIT_ENOTFOUND.rawValue { return nil }
            try LibGit2.check(code, "read `\(key)` of its configuration")
            return buffer.ptr.map { String(cString: $0) }
        }
    }

    /// Sets `key` in the repository's own configuration; nil removes it.
    ///
    /// - Returns: false if it said so already.
    /// - Throws: kind `.conflict` while another program writes the configuration.
    @discardableResult
    package func setConfiguration(_ key: String, to value: String?) throws -> Bool {
        try withRepository { repository in
            var all: OpaquePointer?
            try LibGit2.check(git_repository_config(&all, repository), "read its configuration")
            defer { git_config_free(all) }
            // Only the repository's own file: not the user's, and not that of one work tree.
            var own: OpaquePointer?
            try LibGit2.check(
                git_config_open_level(&own, all, GIT_CONFIG_LEVEL_LOCAL), "open the repository's configuration")
            defer { git_config_free(own) }
            var buffer = git_buf()
            defer { git_buf_dispose(&buffer) }
            let found = git_config_get_string_buf(&buffer, own, key)
            let old = found == 0 ? buffer.ptr.map { String(cString: $0) } : nil
            if old == value { return false }
            let code = value.map { git_config_set_string(own, key, $0) } ?? git_config_delete_entry(own, key)
            if code == GIT_ELOCKED.rawValue, let folder = git_repository_commondir(repository) {
                throw GitRepository.lockedConfiguration(FileSystem.absolute(String(cString: folder)) + "/config.lock")
            }
            try LibGit2.check(code, "\(value == nil ? "remove" : "write") `\(key)` in its configuration")
            return true
        }
    }

    /// Takes the line `heading` out of the repository's own configuration where no setting follows it; libgit2 leaves it there.
    ///
    /// - Throws: kind `.conflict` while another program writes the configuration.
    package func removeEmptySection(_ heading: String) throws {
        let path = FileSystem.join(try commonFolder(), "config")
        // A link, or bytes that are no text, stay as they are: nothing but looks is at stake.
        guard let status = try FileStatus.of(path), status.kind == .file else { return }
        let lock = path + ".lock"
        guard try FileSystem.createExclusively(lock, with: [], mode: status.permissions) else {
            throw GitRepository.lockedConfiguration(lock)
        }
        defer { try? FileSystem.removeFile(lock) }
        guard let text = String(validating: try FileSystem.read(path), as: UTF8.self) else { return }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let kept = lines.indices.filter { index in
            let next = lines[(index + 1)...].first { !$0.allSatisfy(\.isWhitespace) }
            return lines[index] != heading || next?.hasPrefix("[") == false
        }
        guard kept.count < lines.count else { return }
        let rest = kept.map { lines[$0] }.joined(separator: "\n")
        try FileSystem.replace(path, with: Array(rest.utf8), mode: status.permissions)
    }

    private static func lockedConfiguration(_ lock: String) -> MLOpsError {
        MLOpsError(
            .conflict, "git's configuration is locked by `\(lock)`",
            hint: "wait for the program that writes it, or remove that file if there is none")
    }

    /// Where git looks for hooks: `core.hooksPath` if that is set, else `hooks/` of the repository's own folder.
    package func hooksFolder() throws -> (path: String, isConfigured: Bool) {
        let configured: String? = try withRepository { repository in
            var configuration: OpaquePointer?
            try LibGit2.check(git_repository_config(&configuration, repository), "read its configuration")
            defer { git_config_free(configuration) }
            var buffer = git_buf()
            defer { git_buf_dispose(&buffer) }
            // `get_path` resolves `~/`.
            guard git_config_get_path(&buffer, configuration, "core.hookspath") == 0 else { return nil }
            return buffer.ptr.map { String(cString: $0) }
        }
        if let configured, !configured.isEmpty {
            return (FileSystem.absolute(configured, from: workingTree), true)
        }
        return (FileSystem.join(try commonFolder(), "hooks"), false)
    }
}

/// The lines of `ours` and `theirs` put together as `git merge-file` does, with conflict markers where both changed.
package func mergeLines(base: String, ours: String, theirs: String) throws -> (text: String, hasConflicts: Bool) {
    try LibGit2.start()
    func input(_ text: UnsafeBufferPointer<CChar>) -> git_merge_file_input {
        var input = git_merge_file_input()
        input.version = UInt32(GIT_MERGE_FILE_INPUT_VERSION)
        input.ptr = text.baseAddress
        input.size = max(0, text.count - 1)
        return input
    }
    return try base.utf8CString.withUnsafeBufferPointer { base in
        try ours.utf8CString.withUnsafeBufferPointer { ours in
            try theirs.utf8CString.withUnsafeBufferPointer { theirs in
                try "ours".withCString { ourLabel in
                    try "theirs".withCString { theirLabel in
                        var (ancestor, mine, other) = (input(base), input(ours), input(theirs))
                        var options = git_merge_file_options()
                        options.version = UInt32(GIT_MERGE_FILE_OPTIONS_VERSION)
                        options.our_label = ourLabel
                        options.their_label = theirLabel
                        var result = git_merge_file_result()
                        try LibGit2.check(
                            git_merge_file(&result, &ancestor, &mine, &other, &options), "merge the lines of a file")
                        defer { git_merge_file_result_free(&result) }
                        let bytes = UnsafeRawBufferPointer(start: result.ptr, count: result.len)
                        return (String(decoding: bytes, as: UTF8.self), result.automergeable == 0)
                    }
                }
            }
        }
    }
}

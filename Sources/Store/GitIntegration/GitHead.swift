package import Basics
internal import CLibgit2

/// What is checked out.
package struct GitHead: Hashable, Sendable, Codable {
    /// The commit's id in hex; nil before the first commit.
    package var commit: String?
    /// The branch's short name; nil if HEAD is detached.
    package var branch: String?

    package init(commit: String?, branch: String?) {
        self.commit = commit
        self.branch = branch
    }
}

/// One commit of the history.
package struct GitCommit: Hashable, Sendable, Codable {
    /// 40 hex digits.
    package var id: String
    package var author: String
    package var email: String
    /// When it was committed.
    package var time: Timestamp
    /// The first paragraph of its message in one line.
    package var summary: String

    init(_ commit: OpaquePointer) {
        id = gitText(git_commit_id(commit))
        let signature = git_commit_author(commit)
        author = signature?.pointee.name.map { String(cString: $0) } ?? ""
        email = signature?.pointee.email.map { String(cString: $0) } ?? ""
        time = Timestamp(milliseconds: Int64(git_commit_time(commit)) * 1000)
        summary = git_commit_summary(commit).map { String(cString: $0) } ?? ""
    }
}

/// A tag, and the object that it names in the end.
package struct GitTag: Hashable, Sendable, Codable {
    /// Without `refs/tags/`.
    package var name: String
    /// The id of the tagged object, a commit as a rule, in hex.
    package var target: String
}

/// `id` as 40 hex digits; empty for no id.
func gitText(_ id: UnsafePointer<git_oid>?) -> String {
    guard let id else { return "" }
    return String(
        unsafeUninitializedCapacity: Int(GIT_OID_HEXSZ)
    ) { buffer in
        buffer.withMemoryRebound(to: CChar.self) { _ = git_oid_fmt($0.baseAddress, id) }
        return Int(GIT_OID_HEXSZ)
    }
}

extension GitRepository {
    /// The commit and the branch that are checked out in this working tree.
    package func head() throws -> GitHead {
        try withRepository { repository in
            var reference: OpaquePointer?
            try LibGit2.check(git_reference_lookup(&reference, repository, "HEAD"), "read HEAD")
            defer { git_reference_free(reference) }
            let branch = git_reference_symbolic_target(reference).map { target in
                let name = String(cString: target)
                return name.hasPrefix("refs/heads/") ? String(name.dropFirst(11)) : name
            }
            var id = git_oid()
            let code = git_reference_name_to_id(&id, repository, "HEAD")
            if code == GIT_ENOTFOUND.rawValue { return GitHead(commit: nil, branch: branch) }
            try LibGit2.check(code, "resolve HEAD")
            return GitHead(commit: gitText(&id), branch: branch)
        }
    }

    /// All tags, sorted by name.
    package func tags() throws -> [GitTag] {
        try withRepository { repository in
            var names = git_strarray()
            try LibGit2.check(git_tag_list(&names, repository), "list the tags")
            defer { git_strarray_dispose(&names) }
            var tags: [GitTag] = []
            for index in 0..<names.count {
                guard let text = names.strings[index] else { continue }
                let name = String(cString: text)
                var object: OpaquePointer?
                try LibGit2.check(
                    git_revparse_single(&object, repository, "refs/tags/\(name)^{}"), "read tag `\(name)`")
                defer { git_object_free(object) }
                tags.append(GitTag(name: name, target: gitText(git_object_id(object))))
            }
            return tags.sorted { $0.name < $1.name }
        }
    }
}

internal import Basics
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
            return GitHead(commit: LibGit2.hex(&id), branch: branch)
        }
    }
}

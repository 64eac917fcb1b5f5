internal import CLibgit2

/// A tag, and the object that it names in the end.
package struct GitTag: Hashable, Sendable, Codable {
    /// Without `refs/tags/`.
    package var name: String
    /// The id of the tagged object, a commit as a rule, in hex.
    package var target: String
}

extension GitRepository {
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
                tags.append(GitTag(name: name, target: LibGit2.hex(git_object_id(object))))
            }
            return tags.sorted { $0.name < $1.name }
        }
    }
}

package import Basics
internal import CLibgit2

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
        id = LibGit2.hex(git_commit_id(commit))
        let signature = git_commit_author(commit)
        author = signature?.pointee.name.map { String(cString: $0) } ?? ""
        email = signature?.pointee.email.map { String(cString: $0) } ?? ""
        time = Timestamp(milliseconds: Int64(git_commit_time(commit)) * 1000)
        summary = git_commit_summary(commit).map { String(cString: $0) } ?? ""
    }
}

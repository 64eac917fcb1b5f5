package import Basics

/// A file or a tree by its digest, with what people want to know of it.
package struct ArtifactContent: Hashable, Sendable, Codable {
    package enum Kind: String, Sendable, Codable { case file, tree }

    /// Of a file the SHA-256 of its bytes, of a tree that of its listing.
    package var digest: Digest
    package var kind: Kind
    /// The sum over all files.
    package var byteCount: Int64
    package var fileCount: Int

    package init(digest: Digest, kind: Kind, byteCount: Int64, fileCount: Int) {
        self.digest = digest
        self.kind = kind
        self.byteCount = byteCount
        self.fileCount = fileCount
    }
}

/// What a version was made from: another artifact's content.
package struct ArtifactParent: Hashable, Sendable, Codable {
    package var artifact: ArtifactName
    /// The version that had this content, if it was published; the digest counts where the two disagree.
    package var version: Int?
    package var digest: Digest

    package init(artifact: ArtifactName, version: Int?, digest: Digest) {
        self.artifact = artifact
        self.version = version
        self.digest = digest
    }
}

/// The state of the git repository in which a version was made.
package struct GitState: Hashable, Sendable, Codable {
    /// 40 hex digits; nil before the first commit.
    package var commit: String?
    /// nil if HEAD was detached.
    package var branch: String?
    /// Whether tracked files differed from the commit.
    package var isDirty: Bool

    package init(commit: String?, branch: String?, isDirty: Bool) {
        self.commit = commit
        self.branch = branch
        self.isDirty = isDirty
    }

    enum CodingKeys: String, CodingKey {
        case commit, branch
        case isDirty = "dirty"
    }
}

/// One published version of an artifact: what it is and where it came from. It never changes.
package struct VersionRecord: Hashable, Sendable, Codable {
    /// Counts from 1 without gaps; `Registry.publish` assigns it.
    package var version: Int
    package var content: ArtifactContent
    /// Where the content lay in the repository.
    package var path: String
    package var git: GitState?
    /// The id of the pipeline run that made it.
    package var run: String?
    package var parents: [ArtifactParent]
    package var params: JSONValue
    package var metrics: JSONValue
    package var energy: JSONValue?
    /// The report of the gate that it passed before publishing.
    package var gates: JSONValue?
    /// Contents that belong to the version by role: `card`, `samples` (per-example results) and the like.
    package var attachments: [String: ArtifactContent]
    /// A line for people.
    package var message: String?

    package init(
        content: ArtifactContent, path: String, git: GitState? = nil, run: String? = nil,
        parents: [ArtifactParent] = [], params: JSONValue = [:], metrics: JSONValue = [:], energy: JSONValue? = nil,
        gates: JSONValue? = nil, attachments: [String: ArtifactContent] = [:], message: String? = nil, version: Int = 0
    ) {
        self.version = version
        self.content = content
        self.path = path
        self.git = git
        self.run = run
        self.parents = parents
        self.params = params
        self.metrics = metrics
        self.energy = energy
        self.gates = gates
        self.attachments = attachments
        self.message = message
    }

    /// Everything that must be stored for the version to be whole.
    package var contents: [ArtifactContent] { [content] + attachments.sorted { $0.key < $1.key }.map(\.value) }
}

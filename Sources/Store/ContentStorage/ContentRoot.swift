package import Basics

/// Some content of the store, named by its digest: what a pointer or a version points at.
package struct ContentRoot: Hashable, Sendable, Codable {
    package enum Kind: String, Sendable, Codable { case file, tree }

    /// Of a file: the SHA-256 of its bytes. Of a tree: the SHA-256 of its canonical listing.
    package var digest: Digest
    package var kind: Kind
    /// The sum over all files below; a link counts the bytes of its target's name.
    package var byteCount: Int64
    /// Files and links below; 1 for a file.
    package var fileCount: Int

    package init(digest: Digest, kind: Kind, byteCount: Int64, fileCount: Int) {
        self.digest = digest
        self.kind = kind
        self.byteCount = byteCount
        self.fileCount = fileCount
    }
}

/// What an entry of a tree is.
package enum TreeEntryKind: UInt8, Sendable, Codable {
    case file = 1
    case executable = 2
    /// The content is the link's target.
    case symlink = 3
    case tree = 4

    /// The kind in words.
    package var name: String {
        switch self {
        case .file: "file"
        case .executable: "executable"
        case .symlink: "symlink"
        case .tree: "tree"
        }
    }

    package init(from decoder: any Decoder) throws {
        let name = try decoder.singleValueContainer().decode(String.self)
        let known: [TreeEntryKind] = [.file, .executable, .symlink, .tree]
        guard let kind = known.first(where: { $0.name == name }) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "`\(name)` is not a kind of entry"))
        }
        self = kind
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}

/// A file of a version, with its path below the root; the root itself, when it is a file, has the path `""`.
package struct TreeFile: Hashable, Sendable, Codable {
    package var path: String
    package var kind: TreeEntryKind
    package var digest: Digest
    package var byteCount: Int64
}

/// How a file differs between two states.
package struct ContentChange: Hashable, Sendable, Codable {
    package enum Kind: String, Sendable, Codable { case added, modified, deleted }

    /// Below the root; `""` when the root itself is a file.
    package var path: String
    package var kind: Kind
    package var oldDigest: Digest?
    package var newDigest: Digest?
    package var oldByteCount: Int64?
    package var newByteCount: Int64?
}

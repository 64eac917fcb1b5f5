package import Basics

/// What a stored object names, for whoever follows content that lies elsewhere, such as in a remote.
package struct ContentLinks: Sendable {
    /// Trees: each lies there as (tree, digest) or as (manifest, digest).
    package var trees: [Digest] = []
    /// Files: each lies there as (chunk, digest) or as (manifest, digest).
    package var files: [Digest] = []
    package var chunks: [Digest] = []
    /// Chunks that hold lists of chunks.
    package var segments: [Digest] = []

    package init() {}

    /// The links of a listing.
    ///
    /// - Throws: kind `.damaged`.
    package init(ofTree bytes: [UInt8], digest: Digest) throws {
        for entry in try TreeListing(parsing: bytes, subject: "tree `\(digest)`").entries
        where entry.digest != emptyContent {
            if entry.kind == .tree { trees.append(entry.digest) } else { files.append(entry.digest) }
        }
    }

    /// The links of the list of a file's chunks.
    package init(ofManifest bytes: [UInt8], digest: Digest) throws {
        let manifest = try FileManifest(parsing: bytes, id: digest)
        if manifest.depth > 0 {
            segments = manifest.entries.map(\.chunk)
        } else {
            chunks = manifest.entries.map(\.chunk)
        }
    }

    /// The links of a segment of such a list.
    package init(ofSegment bytes: [UInt8]) throws {
        chunks = try FileManifest.entries(ofSegment: bytes).map(\.chunk)
    }

    /// Whether content of this digest needs no object.
    package static func isEmpty(_ digest: Digest) -> Bool { digest == emptyContent }
}

/// A fault of a pack that was read from end to end.
package struct PackFault: Sendable {
    /// nil: the pack as a whole.
    package var key: ObjectKey?
    package var problem: String
}

extension ContentStore {
    /// Reads every byte of the pack file at `path`, which should be the pack `digest`, and says what is wrong with it.
    package func faults(ofPackAt path: String, digest: Digest, entries: [PackEntry]) throws -> [PackFault] {
        let check = try PackCheck.run(at: path, expected: digest)
        if check.isClean, check.entries != entries {
            return [PackFault(key: nil, problem: "it holds other objects than its index says")]
        }
        return check.problems.map { PackFault(key: $0.key, problem: $0.text) }
    }

    /// A pack of this store, if it is here.
    package func pack(_ digest: Digest) throws -> LocalPack? {
        let path = packs.path(of: digest)
        guard let status = try FileStatus.of(path), let entries = try? PackReader.readFooter(at: path) else {
            return nil
        }
        return LocalPack(digest: digest, path: path, byteCount: status.size, entries: entries)
    }
}

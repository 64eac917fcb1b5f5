package import Basics

/// A file or folder inside a version.
package struct ContentPart: Hashable, Sendable {
    package var kind: TreeEntryKind
    package var content: ContentRoot
}

extension ContentStore {
    private enum LookUp {
        case found(TreeEntry)
        /// A listing on the way is not here.
        case hidden([MissingContent])
        /// The version has no such path.
        case absent
    }

    /// The file or folder at `path` below `root`.
    ///
    /// - Throws: kind `.notFound` if the version has none; `.damaged` if a listing on the way is not here.
    package func part(_ path: RelativePath, of root: ContentRoot) throws -> ContentPart {
        switch try lookUp(path, below: root) {
        case .found(let entry):
            return ContentPart(
                kind: entry.kind,
                content: ContentRoot(
                    digest: entry.digest, kind: entry.kind == .tree ? .tree : .file, byteCount: entry.byteCount,
                    fileCount: entry.fileCount))
        case .hidden(let missing):
            throw ContentStore.missing(missing.first?.candidates.first ?? ObjectKey(.tree, root.digest))
        case .absent:
            throw MLOpsError(
                .notFound, "there is no `\(path)` in this version", hint: "paths start below the artifact's own")
        }
    }

    /// What of the chosen parts of `roots` is not here, as far as can be told; a path that a version does not have needs nothing.
    package func missingContent(below roots: [ContentRoot], _ selection: PathSelection) throws -> [MissingContent] {
        if selection.isAll { return try missing(below: roots) }
        var missing: [MissingContent] = []
        var entries: [TreeEntry] = []
        for root in roots {
            for path in selection.paths {
                switch try lookUp(path, below: root) {
                case .found(let entry): entries.append(entry)
                case .hidden(let listing): missing += listing
                case .absent: continue
                }
            }
        }
        missing += try self.missing(of: entries)
        var known: Set<[ObjectKey]> = []
        return missing.filter { known.insert($0.candidates).inserted }
    }

    /// The files and links of a version outside `selection`, and of the folders there those whose listings are not here.
    ///
    /// - Throws: kind `.damaged` if a listing that is here cannot be read, or the root's own is not here.
    package func paths(of root: ContentRoot, outside selection: PathSelection) throws -> [String] {
        var outside: [String] = []
        try walk(ContentStore.entry(root)) { path, entry in
            if selection.relation(to: path) == .inside { return false }
            if entry.kind == .tree, try path.isEmpty || missingListing(entry.digest).isEmpty { return true }
            outside.append(path)
            return false
        }
        return outside
    }

    private func lookUp(_ path: RelativePath, below root: ContentRoot) throws -> LookUp {
        var entry = ContentStore.entry(root)
        for part in path.parts {
            guard entry.kind == .tree else { return .absent }
            let gaps = try missingListing(entry.digest)
            guard gaps.isEmpty else { return .hidden(gaps) }
            guard let next = try tree(entry).entries.first(where: { $0.name.utf8.elementsEqual(part.utf8) }) else {
                return .absent
            }
            entry = next
        }
        return .found(entry)
    }
}

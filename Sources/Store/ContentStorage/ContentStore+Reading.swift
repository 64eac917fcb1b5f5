internal import Basics

extension ContentStore {
    /// The chunks of a manifest with its segments resolved.
    func chunks(of manifest: FileManifest) throws -> [FileManifest.Entry] {
        guard manifest.depth > 0 else { return manifest.entries }
        return try manifest.entries.flatMap { segment in
            let entries = try FileManifest.entries(ofSegment: try plain(ObjectKey(.chunk, segment.chunk)))
            guard entries.reduce(0, { $0 + $1.byteCount }) == segment.byteCount else {
                throw PackFrame.damaged(ObjectKey(.chunk, segment.chunk), "has lengths that do not add up")
            }
            return entries
        }
    }

    func manifest(_ digest: Digest) throws -> FileManifest {
        try FileManifest(parsing: try plain(ObjectKey(.manifest, digest)), id: digest)
    }

    /// The chunks that a file consists of: itself when it is one chunk, none when it is empty.
    func chunks(ofFile digest: Digest, byteCount: Int64) throws -> [FileManifest.Entry] {
        if digest == emptyContent { return [] }
        if byteCount <= ChunkSizes.standard.maximum, try index.contains([ObjectKey(.chunk, digest)])[0] {
            return [FileManifest.Entry(chunk: digest, byteCount: byteCount)]
        }
        let manifest = try manifest(digest)
        guard manifest.byteCount == byteCount else {
            throw PackFrame.damaged(ObjectKey(.manifest, digest), "tells another size than the tree that names it")
        }
        return try chunks(of: manifest)
    }

    /// The midstates of a file of several chunks, as far as its manifest tells them.
    func midstates(ofFile digest: Digest) throws -> [Digest] {
        guard try index.contains([ObjectKey(.manifest, digest)])[0] else { return [] }
        return try manifest(digest).midstates
    }

    /// The proven bytes of a file or listing, all at once.
    func content(_ digest: Digest, asTree: Bool = false) throws -> [UInt8] {
        if digest == emptyContent { return [] }
        let single = ObjectKey(asTree ? .tree : .chunk, digest)
        // Only chunks lie elsewhere than in packs.
        if asTree, let location = try index.locate([single])[0] { return try plain(single, at: location) }
        if !asTree, try index.contains([single])[0] { return try plain(single) }
        guard try index.contains([ObjectKey(.manifest, digest)])[0] else { throw ContentStore.missing(single) }
        let manifest = try manifest(digest)
        guard manifest.byteCount <= Int64(ObjectLimits.plainLength) else {
            throw MLOpsError(
                .failed, "`\(digest)` is too large to be read at once: \(Format.bytes(manifest.byteCount))",
                hint: "check it out and read the file")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(manifest.byteCount))
        for chunk in try chunks(of: manifest) { bytes += try plain(ObjectKey(.chunk, chunk.chunk)) }
        guard Digest.of(bytes) == digest else {
            throw PackFrame.damaged(ObjectKey(.manifest, digest), "lists chunks that make another file")
        }
        return bytes
    }

    func tree(_ digest: Digest) throws -> TreeListing {
        try TreeListing(parsing: try content(digest, asTree: true), subject: "tree `\(digest)`")
    }

    /// The listing of a subtree, whose totals must be what its parent says.
    func tree(_ entry: TreeEntry) throws -> TreeListing { try check(try tree(entry.digest), entry) }

    /// Calls `visit` for the listing of each subtree, in their order.
    func forEachTree(_ entries: [TreeEntry], _ visit: (TreeListing) throws -> Void) throws {
        let keys = entries.map { ObjectKey(.tree, $0.digest) }
        for ((entry, key), location) in zip(zip(entries, keys), try index.locate(keys)) {
            guard let location else {
                try visit(try tree(entry))
                continue
            }
            let bytes = try plain(key, at: location)
            try visit(try check(try TreeListing(parsing: bytes, subject: "tree `\(entry.digest)`"), entry))
        }
    }

    private func check(_ listing: TreeListing, _ entry: TreeEntry) throws -> TreeListing {
        guard listing.byteCount == entry.byteCount, listing.fileCount == entry.fileCount else {
            throw PackFrame.damaged(ObjectKey(.tree, entry.digest), "has other totals than the tree that names it")
        }
        return listing
    }

    /// `root` as an entry without a name.
    static func entry(_ root: ContentRoot) -> TreeEntry {
        TreeEntry(
            name: "", kind: root.kind == .tree ? .tree : .file, digest: root.digest, byteCount: root.byteCount,
            fileCount: root.fileCount)
    }

    /// Calls `visit` for `entry` and what is below it, in the order of the paths' bytes within each folder, a tree before what is in it.
    ///
    /// - Parameter visit: tells of a tree whether to go on into it.
    func walk(
        _ entry: TreeEntry, path: String = "", _ visit: (_ path: String, _ entry: TreeEntry) throws -> Bool
    ) throws {
        // A hostile listing could nest without end; no path of a file system is longer.
        guard path.utf8.count <= 4096 else {
            throw PackFrame.damaged(ObjectKey(.tree, entry.digest), "is nested too deeply")
        }
        guard try visit(path, entry), entry.kind == .tree else { return }
        for child in try tree(entry).entries {
            try walk(child, path: path.isEmpty ? child.name : path + "/" + child.name, visit)
        }
    }

    /// Every file and link of a version.
    ///
    /// - Throws: kind `.damaged` naming the tree that is missing or broken.
    package func listing(of root: ContentRoot) async throws -> [TreeFile] {
        var files: [TreeFile] = []
        try walk(ContentStore.entry(root)) { path, entry in
            if entry.kind == .tree { return true }
            files.append(TreeFile(path: path, kind: entry.kind, digest: entry.digest, byteCount: entry.byteCount))
            return false
        }
        return files
    }

    /// The bytes of one file: of `root` itself when `path` is nil.
    ///
    /// - Throws: kind `.notFound` if the version has no such file; `.damaged`.
    package func read(_ root: ContentRoot, path: String? = nil) async throws -> [UInt8] {
        var entry = ContentStore.entry(root)
        for part in path.map({ pathParts($0) }) ?? [] {
            guard entry.kind == .tree,
                let next = try tree(entry).entries.first(where: { $0.name.utf8.elementsEqual(part.utf8) })
            else {
                throw MLOpsError(.notFound, "`\(path ?? "")` is not a file of this version")
            }
            entry = next
        }
        guard entry.kind != .tree else {
            throw MLOpsError(.notFound, "`\(path ?? "")` is a folder of this version, not a file")
        }
        let bytes = try content(entry.digest)
        guard Int64(bytes.count) == entry.byteCount else {
            throw PackFrame.damaged(ObjectKey(.chunk, entry.digest), "has another size than the version says")
        }
        return bytes
    }

    // MARK: Comparing

    /// How the file or folder at `path` differs from `root`, sorted by path; unchanged files are not read.
    ///
    /// - Parameter selection: what to look at below; only that needs to be in the store.
    package func compare(
        _ root: ContentRoot, with path: String, selection: PathSelection = .all
    ) async throws -> [ContentChange] {
        var changes: [ContentChange] = []
        guard try FileStatus.of(FileSystem.absolute(path)) != nil else {
            try note(.deleted, ContentStore.entry(root), path: "", selection, in: &changes)
            return changes
        }
        let scan = try await identified(path)
        let found = scan.content
        if found.digest == root.digest, found.kind == root.kind { return [] }
        if scan.isFile || root.kind == .file {
            try compare(
                ContentStore.entry(root), ContentStore.entry(found), path: "", scan: scan, folder: 0, selection,
                &changes)
        } else {
            try compare(ContentStore.entry(root), scan: scan, folder: 0, path: "", selection, &changes)
        }
        return changes.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }

    /// How `new` differs from `old`, sorted by path.
    package func compare(_ old: ContentRoot, _ new: ContentRoot) async throws -> [ContentChange] {
        var changes: [ContentChange] = []
        try compareStored(ContentStore.entry(old), ContentStore.entry(new), path: "", &changes)
        return changes.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }

    private func compareStored(
        _ old: TreeEntry, _ new: TreeEntry, path: String, _ changes: inout [ContentChange]
    ) throws {
        if old.digest == new.digest, old.kind == new.kind { return }
        guard old.kind == .tree, new.kind == .tree else {
            return try replace(old, new, path: path, in: &changes) { try note(.added, new, path: path, in: &$0) }
        }
        let (before, after) = (try tree(old).entries, try tree(new).entries)
        try merge(before, after.map(\.name)) { oldIndex, newIndex in
            let name = oldIndex.map { before[$0].name } ?? newIndex.map { after[$0].name } ?? ""
            let below = path.isEmpty ? name : path + "/" + name
            switch (oldIndex, newIndex) {
            case (let old?, let new?): try compareStored(before[old], after[new], path: below, &changes)
            case (let old?, nil): try note(.deleted, before[old], path: below, in: &changes)
            case (nil, let new?): try note(.added, after[new], path: below, in: &changes)
            case (nil, nil): break
            }
        }
    }

    private func compare(
        _ old: TreeEntry, scan: WorkspaceScan, folder: Int, path: String, _ selection: PathSelection,
        _ changes: inout [ContentChange]
    ) throws {
        let scanned = scan.folders[folder]
        let before = try tree(old).entries
        try merge(before, scanned.entries.indices.map { scanned.name($0) }) { oldIndex, newIndex in
            let name = oldIndex.map { before[$0].name } ?? newIndex.map { scanned.name($0) } ?? ""
            let below = path.isEmpty ? name : path + "/" + name
            let relation = selection.relation(to: below)
            guard relation == .inside || relation == .above && oldIndex != nil else { return }
            if let newIndex {
                let new = scanned.treeEntry(newIndex)
                if let oldIndex {
                    let old = before[oldIndex]
                    try compare(
                        old, new, path: below, scan: scan, folder: scanned.entries[newIndex].child, selection, &changes)
                } else {
                    noteAdded(new, path: below, scan: scan, folder: scanned.entries[newIndex].child, in: &changes)
                }
            } else if let oldIndex {
                try note(.deleted, before[oldIndex], path: below, selection, in: &changes)
            }
        }
    }

    private func compare(
        _ old: TreeEntry, _ new: TreeEntry, path: String, scan: WorkspaceScan, folder: Int, _ selection: PathSelection,
        _ changes: inout [ContentChange]
    ) throws {
        // A single file's pointer does not tell whether it is executable.
        if old.digest == new.digest, old.kind == new.kind { return }
        if old.kind == .tree, new.kind == .tree {
            return try compare(old, scan: scan, folder: folder, path: path, selection, &changes)
        }
        guard selection.relation(to: path) == .inside else { return }
        try replace(old, new, path: path, in: &changes) {
            noteAdded(new, path: path, scan: scan, folder: folder, in: &$0)
        }
    }

    /// A file for a file is a modification; a folder for a file is deletions and additions.
    private func replace(
        _ old: TreeEntry, _ new: TreeEntry, path: String, in changes: inout [ContentChange],
        add: (inout [ContentChange]) throws -> Void
    ) throws {
        guard old.kind == .tree || new.kind == .tree else {
            changes.append(
                ContentChange(
                    path: path, kind: .modified, oldDigest: old.digest, newDigest: new.digest,
                    oldByteCount: old.byteCount, newByteCount: new.byteCount))
            return
        }
        try note(.deleted, old, path: path, in: &changes)
        try add(&changes)
    }

    private func note(
        _ kind: ContentChange.Kind, _ entry: TreeEntry, path: String, _ selection: PathSelection = .all,
        in changes: inout [ContentChange]
    ) throws {
        try walk(entry, path: path) { path, entry in
            let relation = selection.relation(to: path)
            if entry.kind == .tree { return relation != .outside }
            if relation == .inside { changes.append(ContentChange(kind, entry, path: path)) }
            return false
        }
    }

    private func noteAdded(
        _ entry: TreeEntry, path: String, scan: WorkspaceScan, folder: Int, in changes: inout [ContentChange]
    ) {
        guard entry.kind == .tree else { return changes.append(ContentChange(.added, entry, path: path)) }
        let scanned = scan.folders[folder]
        for index in scanned.entries.indices {
            let child = scanned.treeEntry(index)
            let below = path.isEmpty ? child.name : path + "/" + child.name
            noteAdded(child, path: below, scan: scan, folder: scanned.entries[index].child, in: &changes)
        }
    }

    /// Pairs two sorted lists of names.
    private func merge(
        _ old: [TreeEntry], _ new: [String], _ visit: (_ old: Int?, _ new: Int?) throws -> Void
    ) rethrows {
        var (i, j) = (0, 0)
        while i < old.count || j < new.count {
            if j == new.count || i < old.count && old[i].name.utf8.lexicographicallyPrecedes(new[j].utf8) {
                try visit(i, nil)
                i += 1
            } else if i == old.count || new[j].utf8.lexicographicallyPrecedes(old[i].name.utf8) {
                try visit(nil, j)
                j += 1
            } else {
                try visit(i, j)
                (i, j) = (i + 1, j + 1)
            }
        }
    }
}

extension ContentChange {
    init(_ kind: Kind, _ entry: TreeEntry, path: String) {
        let isNew = kind == .added
        self.init(
            path: path, kind: kind, oldDigest: isNew ? nil : entry.digest, newDigest: isNew ? entry.digest : nil,
            oldByteCount: isNew ? nil : entry.byteCount, newByteCount: isNew ? entry.byteCount : nil)
    }
}

extension ScannedFolder {
    func treeEntry(_ index: Int) -> TreeEntry {
        let entry = entries[index]
        return TreeEntry(
            name: name(index), kind: entry.kind, digest: entry.digest, byteCount: entry.byteCount,
            fileCount: entry.fileCount)
    }
}

internal import Basics

/// What putting two changes of one tree together gave.
package struct TreeMerge: Sendable {
    /// The tree that has both sides' changes; what ours has where they conflict.
    package var root: ContentRoot
    /// The paths below the root that both sides changed, each in another way; sorted.
    package var conflicts: [String]
}

extension ContentStore {
    /// Puts the changes of `ours` and of `theirs` since `base` together, file by file, and stores the listings of the result.
    ///
    /// - Parameter base: what both come from; nil if nothing is known, or if it was no tree.
    /// - Throws: kind `.damaged` if a listing of the three is not in the store.
    package func merge(base: ContentRoot?, ours: ContentRoot, theirs: ContentRoot) async throws -> TreeMerge {
        let lease = try await lease()
        defer { withExtendedLifetime(lease) {} }
        var merge = TreeMerger(store: self)
        let base = base.flatMap { $0.kind == .tree ? ContentStore.entry($0) : nil }
        let merged =
            try merge.merge(base: base, ours: ContentStore.entry(ours), theirs: ContentStore.entry(theirs), path: "")
            ?? merge.emptyTree()
        if !merge.trees.isEmpty {
            let session = try AddSession(index: index, packs: packs)
            try session.addTrees(merge.trees)
            let outcome = try await session.close([])
            try index.record(packs: outcome.packs, complete: outcome.manifests, folders: [])
        }
        let root = ContentRoot(
            digest: merged.digest, kind: .tree, byteCount: merged.byteCount, fileCount: merged.fileCount)
        // No pointer names it before git has written one.
        noteUse(of: root, place: "merge")
        return TreeMerge(
            root: root,
            conflicts: merge.conflicts.sorted())
    }
}

/// The walk of a three-way merge.
private struct TreeMerger {
    let store: ContentStore
    var trees: [(digest: Digest, listing: [UInt8])] = []
    var conflicts: [String] = []

    init(store: ContentStore) { self.store = store }

    /// What stands at `path` afterwards; nil for nothing.
    mutating func merge(base: TreeEntry?, ours: TreeEntry?, theirs: TreeEntry?, path: String) throws -> TreeEntry? {
        if TreeMerger.isSame(ours, theirs) || TreeMerger.isSame(base, theirs) { return ours }
        if TreeMerger.isSame(base, ours) { return theirs }
        // A hostile listing could nest without end; no path of a file system is longer.
        guard path.utf8.count <= 4096 else {
            throw MLOpsError(.damaged, "the folders to be merged are nested too deeply")
        }
        let sides = [ours, theirs].compactMap(\.self)
        guard sides.allSatisfy({ $0.kind == .tree }), sides.count == 2 || base?.kind == .tree else {
            conflicts.append(path)
            return ours ?? theirs
        }
        let entries = try mergeEntries(base: base, ours: ours, theirs: theirs, path: path)
        // A folder that one side removed is gone if nothing of the other's stays in it.
        if entries.isEmpty, sides.count < 2 { return nil }
        var merged = store(entries)
        merged.name = sides[0].name
        return merged
    }

    private mutating func mergeEntries(
        base: TreeEntry?, ours: TreeEntry?, theirs: TreeEntry?, path: String
    ) throws -> [TreeEntry] {
        let lists = try [base, ours, theirs].map { try $0.map(entries(of:)) ?? [] }
        let tables = lists.map { list in
            Dictionary(list.map { (Array($0.name.utf8), $0) }, uniquingKeysWith: { first, _ in first })
        }
        let names = Set(tables[1].keys).union(tables[2].keys).sorted { $0.lexicographicallyPrecedes($1) }
        return try names.compactMap { name in
            let text = String(decoding: name, as: UTF8.self)
            var entry = try merge(
                base: tables[0][name], ours: tables[1][name], theirs: tables[2][name],
                path: path.isEmpty ? text : path + "/" + text)
            entry?.name = text
            return entry
        }
    }

    private func entries(of entry: TreeEntry) throws -> [TreeEntry] {
        entry.kind == .tree ? try store.tree(entry).entries : []
    }

    private mutating func store(_ entries: [TreeEntry]) -> TreeEntry {
        TreeListing(entries: entries).entry(storedIn: &trees)
    }

    mutating func emptyTree() -> TreeEntry { store([]) }

    private static func isSame(_ left: TreeEntry?, _ right: TreeEntry?) -> Bool {
        left?.digest == right?.digest && left?.kind == right?.kind
    }
}

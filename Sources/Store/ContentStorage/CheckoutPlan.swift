internal import Basics

/// What must be done to a folder, or to one file, so that it holds a version.
struct CheckoutPlan: Sendable {
    /// A file to write. Paths are below the root; `""` is a root that is a file.
    struct Write: Sendable {
        var path: String
        var kind: TreeEntryKind
        var digest: Digest
        var byteCount: Int64
        /// Whether something is there that may be replaced.
        var replaces: Bool
    }

    /// A file whose content goes away.
    struct Loss: Sendable {
        var path: String
        var digest: Digest
        var byteCount: Int64
        /// A pipe, socket or device: nothing that a store could hold.
        var isSpecial: Bool
        /// The file of the version that comes in its place, if one does.
        var replacement: TreeEntry?
    }

    /// In this order: parents first.
    var folders: [String] = []
    var writes: [Write] = []
    /// Files whose executable bit alone is wrong.
    var modes: [(path: String, isExecutable: Bool)] = []
    /// What stands where something of another type must be; removed before all else.
    var blocking: [String] = []
    var blockingFolders: [String] = []
    /// What is not part of the version; removed after all else. Folders children first.
    var extra: [String] = []
    var extraFolders: [String] = []
    var losses: [Loss] = []
    var unchangedFileCount = 0
    /// Whether the root is a folder of which nothing is there.
    private(set) var isNewFolder = false

    private let store: ContentStore
    private let scan: WorkspaceScan?
    private let selection: PathSelection

    /// - Parameters:
    ///   - scan: what is there; nil if nothing is.
    ///   - selection: what to make right.
    init(_ root: ContentRoot, store: ContentStore, scan: WorkspaceScan?, selection: PathSelection = .all) throws {
        self.store = store
        self.scan = scan
        self.selection = selection
        let target = ContentStore.entry(root)
        guard let scan else {
            try create(target, path: "")
            isNewFolder = !folders.isEmpty
            return
        }
        if scan.isFile {
            try place(
                target, over: scan.folders[0].treeEntry(0), entry: scan.folders[0].entries[0], path: "", isRoot: true)
        } else if target.kind == .tree {
            try place(target, overFolder: 0, path: "")
        } else {
            lose(folder: 0, path: "", blocking: true)
            try create(target, path: "")
        }
    }

    private static func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : path + "/" + name }

    /// Makes all of `target` where nothing is.
    private mutating func create(_ target: TreeEntry, path: String) throws {
        let relation = selection.relation(to: path)
        // A file above a chosen path means that the version does not have that path.
        guard relation == .inside || relation == .above && target.kind == .tree else { return }
        guard target.kind == .tree else {
            writes.append(
                Write(
                    path: path, kind: target.kind, digest: target.digest, byteCount: target.byteCount, replaces: false))
            return
        }
        guard path.utf8.count <= 4096 else {
            throw PackFrame.damaged(ObjectKey(.tree, target.digest), "is nested too deeply")
        }
        folders.append(path)
        for child in try store.tree(target).entries { try create(child, path: CheckoutPlan.join(path, child.name)) }
    }

    private mutating func place(_ target: TreeEntry, overFolder number: Int, path: String) throws {
        guard let scan else { return }
        let folder = scan.folders[number]
        if folder.summary?.digest == target.digest {
            unchangedFileCount += target.fileCount
            return
        }
        let wanted = try store.tree(target).entries
        var position = 0
        for index in folder.entries.indices {
            let name = folder.name(index)
            while position < wanted.count, wanted[position].name.utf8.lexicographicallyPrecedes(name.utf8) {
                try create(wanted[position], path: CheckoutPlan.join(path, wanted[position].name))
                position += 1
            }
            let below = CheckoutPlan.join(path, name)
            let isWanted = position < wanted.count && wanted[position].name.utf8.elementsEqual(name.utf8)
            let relation = selection.relation(to: below)
            if relation == .outside || relation == .above && !isWanted {
                if isWanted { position += 1 }
                continue
            }
            if isWanted {
                try place(
                    wanted[position], over: folder.treeEntry(index), entry: folder.entries[index], path: below,
                    isRoot: false)
                position += 1
            } else {
                lose(folder.entries[index], path: below, blocking: false)
            }
        }
        for child in wanted[position...] { try create(child, path: CheckoutPlan.join(path, child.name)) }
    }

    /// - Parameter isRoot: the root's pointer does not tell whether a file is executable, so that stays as it is.
    private mutating func place(
        _ target: TreeEntry, over found: TreeEntry, entry: ScannedEntry, path: String, isRoot: Bool
    ) throws {
        if target.kind == .tree, found.kind == .tree { return try place(target, overFolder: entry.child, path: path) }
        guard selection.relation(to: path) == .inside || target.kind == .tree else { return }
        if target.kind == .tree || found.kind == .tree || entry.isSpecial {
            lose(entry, path: path, blocking: true)
            return try create(target, path: path)
        }
        if target.digest == found.digest, (target.kind == .symlink) == (found.kind == .symlink) {
            if target.kind == found.kind || isRoot {
                unchangedFileCount += 1
            } else {
                modes.append((path, target.kind == .executable))
            }
            return
        }
        losses.append(
            Loss(
                path: path, digest: found.digest, byteCount: found.byteCount, isSpecial: false, replacement: target))
        let kind = isRoot && target.kind == .file && found.kind == .executable ? .executable : target.kind
        writes.append(
            Write(path: path, kind: kind, digest: target.digest, byteCount: target.byteCount, replaces: true))
    }

    private mutating func lose(_ entry: ScannedEntry, path: String, blocking isBlocking: Bool) {
        if entry.kind == .tree, !entry.isSpecial { return lose(folder: entry.child, path: path, blocking: isBlocking) }
        if isBlocking { blocking.append(path) } else { extra.append(path) }
        losses.append(
            Loss(path: path, digest: entry.digest, byteCount: entry.byteCount, isSpecial: entry.isSpecial))
    }

    private mutating func lose(folder number: Int, path: String, blocking isBlocking: Bool) {
        guard let folder = scan?.folders[number] else { return }
        for (index, entry) in folder.entries.enumerated() {
            lose(entry, path: CheckoutPlan.join(path, folder.name(index)), blocking: isBlocking)
        }
        for name in folder.leftovers {
            if isBlocking {
                blocking.append(CheckoutPlan.join(path, name))
            } else {
                extra.append(CheckoutPlan.join(path, name))
            }
        }
        if isBlocking { blockingFolders.append(path) } else { extraFolders.append(path) }
    }
}

internal import Basics

/// The objects that some roots need.
struct LiveObjects: Sendable {
    /// An object that is needed and not here.
    struct Gap: Sendable {
        var key: ObjectKey
        var root: String
    }

    private(set) var keys: Set<ObjectKey> = []
    /// The first of the gaps, and how many there are.
    private(set) var gaps: [Gap] = []
    private(set) var gapCount = 0
    /// Trees in pieces whose entries were followed; as a list of chunks alone one may have been marked before.
    private var walked: Set<Digest> = []
    let store: ContentStore
    var inventory: PackInventory
    /// Objects that lie elsewhere than in packs.
    let isElsewhere: @Sendable (ObjectKey) throws -> Bool

    init(
        store: ContentStore, inventory: PackInventory, isElsewhere: @escaping @Sendable (ObjectKey) throws -> Bool
    ) {
        self.store = store
        self.inventory = inventory
        self.isElsewhere = isElsewhere
    }

    /// Marks all that `root` needs.
    ///
    /// - Parameter mayLack: what is missing below it is no gap.
    /// - Throws: kind `.damaged` naming a tree or a list of chunks that cannot be read, and what needs it.
    mutating func mark(_ root: ContentRoot, name: String, mayLack: Bool = false) throws {
        var trees: [Digest] = []
        if root.kind == .tree {
            trees.append(root.digest)
        } else {
            try markFile(root.digest, name, mayLack)
        }
        try mark(trees: trees, name, mayLack)
    }

    /// Marks a tree or a list of chunks that is here, and what is here of all that it names.
    mutating func markLeniently(_ key: ObjectKey) throws {
        switch key.kind {
        case .chunk: keys.insert(key)
        case .manifest: if !keys.contains(key) { _ = try markManifest(key.id, "", true) }
        case .tree: try mark(trees: [key.id], "", true)
        }
    }

    private mutating func mark(trees: [Digest], _ name: String, _ mayLack: Bool) throws {
        var pending = trees
        while let digest = pending.popLast() {
            for entry in try markTree(digest, name, mayLack) {
                if entry.kind == .tree {
                    pending.append(entry.digest)
                } else {
                    try markFile(entry.digest, name, mayLack)
                }
            }
        }
    }

    /// The entries of a tree that was not marked before.
    private mutating func markTree(_ digest: Digest, _ name: String, _ mayLack: Bool) throws -> [TreeEntry] {
        let key = ObjectKey(.tree, digest)
        if inventory.contains(key) {
            guard keys.insert(key).inserted else { return [] }
            return try TreeListing(parsing: try read(key, name), subject: "\(key)").entries
        }
        let manifest = ObjectKey(.manifest, digest)
        guard inventory.contains(manifest) else {
            try lack(key, name, mayLack)
            return []
        }
        guard walked.insert(digest).inserted else { return [] }
        let chunks = try markManifest(digest, name, mayLack)
        // Of a listing in pieces the names can only be told when all of them are here.
        guard chunks.allSatisfy({ inventory.contains(ObjectKey(.chunk, $0.chunk)) }) else { return [] }
        let bytes = try chunks.flatMap { try read(ObjectKey(.chunk, $0.chunk), name) }
        guard Digest.of(bytes) == digest else {
            throw refusal(PackFrame.damaged(manifest, "lists chunks that make another tree"), name)
        }
        return try TreeListing(parsing: bytes, subject: "\(key)").entries
    }

    private mutating func markFile(_ digest: Digest, _ name: String, _ mayLack: Bool) throws {
        if digest == emptyContent { return }
        let chunk = ObjectKey(.chunk, digest)
        if try isPresent(chunk) {
            keys.insert(chunk)
        } else if inventory.contains(ObjectKey(.manifest, digest)) {
            if !keys.contains(ObjectKey(.manifest, digest)) { _ = try markManifest(digest, name, mayLack) }
        } else {
            try lack(chunk, name, mayLack)
        }
    }

    /// The chunks of a manifest, as far as they can be told.
    private mutating func markManifest(
        _ digest: Digest, _ name: String, _ mayLack: Bool
    ) throws -> [FileManifest.Entry] {
        let key = ObjectKey(.manifest, digest)
        keys.insert(key)
        let manifest = try FileManifest(parsing: try read(key, name), id: digest)
        guard manifest.depth > 0 else {
            try markChunks(manifest.entries, name, mayLack)
            return manifest.entries
        }
        var chunks: [FileManifest.Entry] = []
        for segment in manifest.entries {
            let key = ObjectKey(.chunk, segment.chunk)
            guard inventory.contains(key) else {
                try lack(key, name, mayLack)
                continue
            }
            keys.insert(key)
            let entries = try FileManifest.entries(ofSegment: try read(key, name))
            try markChunks(entries, name, mayLack)
            chunks += entries
        }
        return chunks
    }

    private mutating func markChunks(_ chunks: [FileManifest.Entry], _ name: String, _ mayLack: Bool) throws {
        for chunk in chunks {
            let key = ObjectKey(.chunk, chunk.chunk)
            if try isPresent(key) { keys.insert(key) } else { try lack(key, name, mayLack) }
        }
    }

    private func isPresent(_ key: ObjectKey) throws -> Bool {
        try inventory.contains(key) || isElsewhere(key)
    }

    private mutating func lack(_ key: ObjectKey, _ name: String, _ mayLack: Bool) throws {
        guard !mayLack else { return }
        gapCount += 1
        if gaps.count < 20 { gaps.append(Gap(key: key, root: name)) }
    }

    /// The proven bytes of an object, from whichever of its places is sound.
    private func read(_ key: ObjectKey, _ name: String) throws -> [UInt8] {
        var failure: (any Error)?
        for place in inventory.all(key) {
            let entry = inventory.entry(at: place)
            do {
                let pack = try store.openPack(inventory.packs[Int(place.pack)].digest)
                let stored = try pack.read(count: entry.storedLength, at: entry.offset)
                return try PackFrame(entry, stored: stored).decoded()
            } catch {
                failure = failure ?? error
            }
        }
        throw refusal(failure ?? ContentStore.missing(key), name)
    }

    private func refusal(_ error: any Error, _ name: String) -> any Error {
        guard let error = error as? MLOpsError, error.kind == .damaged else { return error }
        let needed = name.isEmpty ? "" : "; `\(name)` needs it"
        return MLOpsError(
            .damaged, "nothing was removed: \(error.message)\(needed)", hint: healingHint, cause: error)
    }
}

internal import Basics

extension ContentStore {
    /// Which of some files, given as digest and size, are here whole.
    ///
    /// - Parameter inPacksAlone: whether what was left in the workspace does not count.
    func holds(_ files: [(digest: Digest, byteCount: Int64)], inPacksAlone: Bool = false) throws -> [Bool] {
        var isHere = try index.contains(files.map { ObjectKey(.chunk, $0.digest) }, inPacksAlone: inPacksAlone)
        for position in files.indices where files[position].digest == emptyContent { isHere[position] = true }
        let open = files.indices.filter { !isHere[$0] && files[$0].byteCount > ChunkSizes.standard.minimum }
        let complete = try index.isComplete(open.map { ObjectKey(.manifest, files[$0].digest) })
        // Most that are not complete have no manifest either, which one question tells of all.
        let hasManifest = try index.contains(open.map { ObjectKey(.manifest, files[$0].digest) })
        for (position, (isComplete, hasManifest)) in zip(open, zip(complete, hasManifest)) {
            isHere[position] =
                try isComplete
                || hasManifest
                    && missingParts(ofFile: files[position].digest, byteCount: 0, inPacksAlone: inPacksAlone).isEmpty
        }
        return isHere
    }

    /// What of a file that is not a chunk itself is not here.
    private func missingParts(
        ofFile digest: Digest, byteCount: Int64, inPacksAlone: Bool = false
    ) throws -> [MissingContent] {
        let key = ObjectKey(.manifest, digest)
        guard try index.contains([key])[0] else {
            return [MissingContent(candidates: ContentStore.candidates(digest, byteCount), byteCount: byteCount)]
        }
        let manifest = try manifest(digest)
        var missing = try missingChunks(manifest.entries, inPacksAlone, areListings: manifest.depth > 0)
        guard manifest.depth > 0 else { return missing }
        let absent = Set(missing.flatMap(\.candidates))
        for segment in manifest.entries where !absent.contains(ObjectKey(.chunk, segment.chunk)) {
            let bytes = try plain(ObjectKey(.chunk, segment.chunk))
            missing += try missingChunks(try FileManifest.entries(ofSegment: bytes), inPacksAlone)
        }
        return missing
    }

    private func missingChunks(
        _ entries: [FileManifest.Entry], _ inPacksAlone: Bool, areListings: Bool = false
    ) throws -> [MissingContent] {
        let keys = entries.map { ObjectKey(.chunk, $0.chunk) }
        return zip(zip(keys, entries), try index.contains(keys, inPacksAlone: inPacksAlone)).filter { !$0.1 }.map {
            MissingContent(
                candidates: [$0.0.0], byteCount: $0.0.1.byteCount, isListing: areListings, isPart: !areListings)
        }
    }

    /// The objects under which a file may be stored, the likelier first.
    private static func candidates(_ digest: Digest, _ byteCount: Int64) -> [ObjectKey] {
        let (chunk, manifest) = (ObjectKey(.chunk, digest), ObjectKey(.manifest, digest))
        if byteCount > ChunkSizes.standard.maximum { return [manifest] }
        return byteCount > 0 && byteCount <= ChunkSizes.standard.minimum ? [chunk] : [chunk, manifest]
    }

    /// What of `roots` is not here, as far as can be told: a missing tree or manifest hides what is below it, so a pull asks,
    /// fetches, and asks again until nothing is missing.
    ///
    /// - Throws: kind `.damaged` if a tree or manifest that is here cannot be read.
    package func missingContent(below roots: [ContentRoot]) async throws -> [MissingContent] {
        try missing(below: roots)
    }

    func missing(below roots: [ContentRoot]) throws -> [MissingContent] {
        try missing(of: roots.map(ContentStore.entry))
    }

    /// The parts of a listing that are not here.
    func missingListing(_ digest: Digest) throws -> [MissingContent] {
        let candidates = [ObjectKey(.tree, digest), ObjectKey(.manifest, digest)]
        let isHere = try index.contains(candidates)
        if isHere[0] { return [] }
        return isHere[1]
            ? try missingParts(ofFile: digest, byteCount: 0) : [MissingContent(candidates: candidates, byteCount: 0)]
    }

    /// What of `entries`, and of all below them, is not here.
    func missing(of entries: [TreeEntry]) throws -> [MissingContent] {
        var missing: [MissingContent] = []
        var seen: Set<Digest> = []
        var files = entries.filter { $0.kind != .tree }
        var trees = entries.filter { $0.kind == .tree }
        while !trees.isEmpty {
            // Level by level, so that few questions ask for many.
            let level = trees.filter { seen.insert($0.digest).inserted }
            trees = []
            let isComplete = try index.isComplete(level.map { ObjectKey(.tree, $0.digest) })
            let open = zip(level, isComplete).filter { !$0.1 }.map(\.0)
            let isHere = try index.contains(open.map { ObjectKey(.tree, $0.digest) })
            var present: [TreeEntry] = []
            for (entry, isHere) in zip(open, isHere) {
                let gaps = isHere ? [] : try missingListing(entry.digest)
                missing += gaps
                if gaps.isEmpty { present.append(entry) }
            }
            try forEachTree(present) { listing in
                for child in listing.entries {
                    if child.kind == .tree { trees.append(child) } else { files.append(child) }
                }
            }
        }
        missing += try missingFiles(files)
        // The candidates follow from the first of them and their count.
        struct Name: Hashable {
            var first: ObjectKey?
            var count: Int
        }
        var known = Set<Name>(minimumCapacity: missing.count)
        return missing.filter { known.insert(Name(first: $0.candidates.first, count: $0.candidates.count)).inserted }
    }

    private func missingFiles(_ files: [TreeEntry]) throws -> [MissingContent] {
        var missing: [MissingContent] = []
        let isHere = try index.contains(files.map { ObjectKey(.chunk, $0.digest) })
        let absent = zip(files, isHere).filter { !$0.1 && $0.0.digest != emptyContent }.map(\.0)
        // A file so small has no manifest.
        let manifests = absent.filter { $0.byteCount > ChunkSizes.standard.minimum }.map {
            ObjectKey(.manifest, $0.digest)
        }
        var known = zip(try index.isComplete(manifests), try index.contains(manifests)).makeIterator()
        for file in absent {
            let found = file.byteCount > ChunkSizes.standard.minimum ? known.next() : nil
            switch found {
            case (true, _)?: continue
            case (_, true)?: missing += try missingParts(ofFile: file.digest, byteCount: file.byteCount)
            default:
                missing.append(
                    MissingContent(
                        candidates: ContentStore.candidates(file.digest, file.byteCount), byteCount: file.byteCount))
            }
        }
        return missing
    }

    /// Whether all of `root` is here, down to the last chunk.
    package func contains(_ root: ContentRoot) throws -> Bool {
        let key = ContentStore.topKey(of: root)
        if try index.isComplete([key])[0] { return true }
        let generation = try index.generation()
        guard try missing(below: [root]).isEmpty else { return false }
        // Files that were added in place can change at any time, so nothing is noted for good.
        if try !index.hasInPlace() { try? index.recordComplete(key, since: generation) }
        return true
    }

    /// The bytes and files of `root` as its content tells them.
    func totals(of root: ContentRoot) throws -> (byteCount: Int64, fileCount: Int) {
        let entry = ContentStore.entry(root)
        if root.kind == .tree {
            let listing = try tree(entry)
            return (listing.byteCount, listing.fileCount)
        }
        if root.digest == emptyContent { return (0, 1) }
        if let chunk = try index.locate([ObjectKey(.chunk, root.digest)])[0] { return (Int64(chunk.plainLength), 1) }
        return (try manifest(root.digest).byteCount, 1)
    }

    /// Which of the objects are not here.
    package func missingObjects(among keys: [ObjectKey]) throws -> [ObjectKey] {
        zip(keys, try index.contains(keys)).filter { !$0.1 }.map(\.0)
    }
}

internal import Basics
internal import ContentStorage

/// Where the objects of a remote lie, from all of its `index/<digest>.idx` files.
struct RemoteIndex: Sendable {
    struct Location: Sendable {
        var pack: Int
        var entry: Int
    }

    private(set) var packs: [PackIndexFile.Pack] = []
    /// The keys of the files that this was read from.
    private(set) var fileKeys: [String] = []
    private var locations: [ObjectKey: Location] = [:]
    /// Further places of objects that lie in several packs.
    private var alternatives: [ObjectKey: [Location]] = [:]
    private var known: Set<Digest> = []
    /// Whether every pack that is named was found there, whole.
    private(set) var isComplete = true

    /// - Parameter sizes: byte counts of the packs found on the remote, by key; packs that differ do not count. nil trusts
    ///   the files.
    mutating func add(_ file: PackIndexFile, key: String, sizes: [String: Int64]?) {
        fileKeys.append(key)
        locations.reserveCapacity(file.packs.reduce(locations.count) { $0 + $1.entries.count })
        for pack in file.packs where known.insert(pack.digest).inserted {
            packs.append(pack)
            if let sizes, sizes[packKey(pack.digest)] != pack.byteCount {
                isComplete = false
                continue
            }
            for (index, entry) in pack.entries.enumerated() {
                let location = Location(pack: packs.count - 1, entry: index)
                if locations[entry.key] == nil {
                    locations[entry.key] = location
                } else {
                    alternatives[entry.key, default: []].append(location)
                }
            }
        }
    }

    func contains(_ key: ObjectKey) -> Bool { locations[key] != nil }

    /// All places of an object.
    func places(of key: ObjectKey) -> [Location] {
        (locations[key].map { [$0] } ?? []) + (alternatives[key] ?? [])
    }

    func entry(at location: Location) -> PackEntry { packs[location.pack].entries[location.entry] }

    /// Whether the remote holds `root` and, as indexes are written last, all that it needs.
    func holds(_ root: ContentRoot) -> Bool {
        guard isComplete else { return false }
        // A file of one chunk is that chunk; larger files, and listings of very large folders, have a list of chunks.
        let kinds: [ObjectKind] = root.kind == .tree ? [.tree, .manifest] : [.chunk, .manifest]
        return kinds.contains { contains(ObjectKey($0, root.digest)) }
    }
}

/// The key of a pack.
func packKey(_ digest: Digest) -> String { "packs/\(digest.hex.prefix(2))/\(digest.hex).pack" }

/// Reads the index of a remote, keeping what never changes in a folder of this machine.
struct RemoteIndexReader: Sendable {
    static let folder = "index/"

    let remote: any Remote
    let cacheFolder: String
    /// Whether the store around that folder is.
    let isScratch: Bool
    let jobs: Int

    /// - Parameter checksPacks: also lists the packs, and leaves out those that are absent or have another size.
    /// - Throws: kind `.damaged` that names the file which does not match its name.
    func read(checksPacks: Bool) async throws -> (index: RemoteIndex, packSizes: [String: Int64]) {
        for attempt in 1... {
            async let listedPacks = checksPacks ? remote.list("packs") : []
            let items = try await remote.list(RemoteIndexReader.folder).filter { digest(of: $0.key) != nil }
            let sizes = Dictionary(
                try await listedPacks.map { ($0.key, $0.byteCount) }, uniquingKeysWith: { first, _ in first })
            do {
                let files = try await mapConcurrently(items, width: jobs) { try await file($0.key) }
                var index = RemoteIndex()
                for (item, file) in zip(items, files) {
                    index.add(file, key: item.key, sizes: checksPacks ? sizes : nil)
                }
                try dropOthers(than: items.map(\.key))
                return (index, sizes)
            } catch let error as MLOpsError where error.kind == .notFound && attempt < 4 {
                // Someone merged index files between our listing and our reading: list again.
                continue
            }
        }
        return (RemoteIndex(), [:])
    }

    /// Keeps `bytes`, which were just written to the remote, as if they had been read.
    func remember(_ bytes: [UInt8], key: String) throws {
        // Flushed, since this may be what makes the store's own folder: no power cut may take it from the packs that follow.
        try FileSystem.createDirectories(cacheFolder, flushes: !isScratch)
        // Whoever reads it compares it with its name, so it need not reach the disk now.
        try FileSystem.replaceUnflushed(cachePath(of: key), with: bytes)
    }

    /// Whether the remote has no index, and had one when it was last looked at from here: a disk that is not mounted, as a rule.
    func hasVanished() async throws -> Bool {
        guard FileSystem.isDirectory(cacheFolder),
            try FileSystem.list(cacheFolder).contains(where: { digest(of: $0) != nil })
        else { return false }
        return try await remote.list(RemoteIndexReader.folder).isEmpty
    }

    private func file(_ key: String) async throws -> PackIndexFile {
        let path = cachePath(of: key)
        if FileSystem.exists(path), let bytes = try? FileSystem.read(path), Digest.of(bytes) == digest(of: key) {
            return try PackIndexFile.decode(bytes, subject: key)
        }
        let bytes = try await lookingAgain {
            let bytes = try await remote.get(key)
            guard Digest.of(bytes) == digest(of: key) else {
                throw MLOpsError(
                    .damaged, "`\(key)` in the remote `\(remote.location)` does not hold the bytes that its name says",
                    hint: "remove it there, then run `mlops push` where the data is whole")
            }
            return bytes
        }
        let file = try PackIndexFile.decode(bytes, subject: "`\(key)` in the remote `\(remote.location)`")
        try remember(bytes, key: key)
        return file
    }

    private func digest(of key: String) -> Digest? {
        let name = FileSystem.name(of: key)
        return name.hasSuffix(".idx") ? Digest(name.dropLast(4)) : nil
    }

    private func cachePath(of key: String) -> String { FileSystem.join(cacheFolder, FileSystem.name(of: key)) }

    private func dropOthers(than keys: [String]) throws {
        guard FileSystem.isDirectory(cacheFolder) else { return }
        let names = Set(keys.map { FileSystem.name(of: $0) })
        for name in try FileSystem.list(cacheFolder) where name.hasSuffix(".idx") && !names.contains(name) {
            try FileSystem.removeFile(FileSystem.join(cacheFolder, name))
        }
    }
}

package import Basics
internal import Glibc

extension ContentStore {
    /// Everything that `root` needs, each object once, children before what lists them.
    ///
    /// - Throws: kind `.damaged` naming what is missing.
    package func reachableObjects(from root: ContentRoot) async throws -> [StoredObject] {
        try await withTrueIndex { try reachable(from: root) }
    }

    private func reachable(from root: ContentRoot) throws -> [StoredObject] {
        var keys: [ObjectKey] = []
        var seen: Set<ObjectKey> = []
        try collect(ContentStore.entry(root), into: &keys, &seen)
        let locations = try index.locate(keys)
        let places = try index.placesInWorkspace(zip(keys, locations).filter { $0.1 == nil }.map(\.0.id))
        var next = places.makeIterator()
        return try zip(keys, locations).map { key, location in
            if let location {
                return StoredObject(key: key, storedLength: location.storedLength, plainLength: location.plainLength)
            }
            guard key.kind == .chunk, let place = next.next() ?? nil else { throw ContentStore.missing(key) }
            return StoredObject(key: key, storedLength: place.length, plainLength: place.length)
        }
    }

    private func collect(_ entry: TreeEntry, into keys: inout [ObjectKey], _ seen: inout Set<ObjectKey>) throws {
        guard entry.kind == .tree else { return try collectFiles([entry], into: &keys, &seen) }
        // Depth first, so that the keys end up below those that list them.
        guard seen.insert(ObjectKey(.tree, entry.digest)).inserted else { return }
        let children = try tree(entry).entries
        for child in children where child.kind == .tree { try collect(child, into: &keys, &seen) }
        try collectFiles(children.filter { $0.kind != .tree }, into: &keys, &seen)
        if try index.contains([ObjectKey(.tree, entry.digest)])[0] {
            keys.append(ObjectKey(.tree, entry.digest))
        } else {
            try collectManifest(entry.digest, into: &keys, &seen)
        }
    }

    private func collectFiles(
        _ files: [TreeEntry], into keys: inout [ObjectKey], _ seen: inout Set<ObjectKey>
    ) throws {
        let files = files.filter { $0.digest != emptyContent }
        let isChunk = try index.contains(files.map { ObjectKey(.chunk, $0.digest) })
        for (file, isChunk) in zip(files, isChunk) {
            if isChunk {
                if seen.insert(ObjectKey(.chunk, file.digest)).inserted { keys.append(ObjectKey(.chunk, file.digest)) }
            } else {
                try collectManifest(file.digest, into: &keys, &seen)
            }
        }
    }

    private func collectManifest(
        _ digest: Digest, into keys: inout [ObjectKey], _ seen: inout Set<ObjectKey>
    ) throws {
        guard seen.insert(ObjectKey(.manifest, digest)).inserted else { return }
        let manifest = try manifest(digest)
        for chunk in try chunks(of: manifest) + (manifest.depth > 0 ? manifest.entries : [])
        where seen.insert(ObjectKey(.chunk, chunk.chunk)).inserted {
            keys.append(ObjectKey(.chunk, chunk.chunk))
        }
        keys.append(ObjectKey(.manifest, digest))
    }

    /// An object as it is stored, proven to be what its key says; one that was left in the workspace, as it would be stored.
    ///
    /// - Throws: kind `.damaged` if it is missing or broken, naming the file that has changed since it was added in place.
    package func frame(of key: ObjectKey) throws -> PackFrame {
        try withLocation(of: key, inPlace: { packed(key, $0) }) { location in
            let frame = try storedFrame(key, at: location)
            _ = try frame.decoded()
            return frame
        }
    }

    /// The local packs of which every object is wanted, to be sent as they are, and the keys that lie elsewhere.
    package func wholePacks(covering keys: Set<ObjectKey>) throws -> (packs: [LocalPack], rest: [ObjectKey]) {
        let wanted = keys.sorted()
        let locations = try index.locate(wanted)
        var rest: [ObjectKey] = []
        var byPack: [Digest: [ObjectKey]] = [:]
        for (key, location) in zip(wanted, locations) {
            if let location {
                byPack[location.pack, default: []].append(key)
            } else {
                rest.append(key)
            }
        }
        var packs: [LocalPack] = []
        for (digest, members) in byPack.sorted(by: { $0.key < $1.key }) {
            let path = self.packs.path(of: digest)
            let file = try OpenFile(reading: path)
            let entries = try PackReader.readFooter(of: file).entries
            if entries.allSatisfy({ keys.contains($0.key) }) {
                packs.append(
                    LocalPack(digest: digest, path: path, byteCount: try file.status().size, entries: entries))
            } else {
                rest += members
            }
        }
        return (packs, rest.sorted())
    }

    /// Checks every byte of a pack of this store, so that it can be sent, and gives the SHA-256 of its file.
    ///
    /// - Throws: kind `.damaged` naming what is wrong with it.
    package func fileDigest(checking pack: LocalPack) throws -> Digest {
        let check = try PackCheck.run(at: pack.path, expected: pack.digest, hashesFile: true)
        guard check.isClean, let digest = check.fileDigest else {
            let problem = check.problems.first
            let object = problem?.key.map { "\($0) " } ?? ""
            throw MLOpsError(
                .damaged,
                "pack `\(pack.path)` is damaged and was not sent: \(object)\(problem?.text ?? "it is cut off")",
                hint: healingHint)
        }
        return digest
    }

    /// The folder for packs that are being made or fetched: on the store's disk.
    package func packsFolder() throws -> String {
        try packs.prepare()
        return packs.path
    }

    /// Starts a pack that is to be installed here.
    package func packWriter() throws -> PackWriter {
        try packs.prepare()
        return try packs.writer()
    }

    /// Checks the pack at `temporaryPath`, every byte of it, flushes it, moves it into the store and indexes it.
    ///
    /// - Throws: kind `.damaged` if it is not the pack of that digest, or does not hold what it says; it is removed then.
    package func install(packAt temporaryPath: String, digest: Digest, entries: [PackEntry]) throws {
        do {
            let check = try PackCheck.run(at: temporaryPath, expected: digest)
            guard check.isClean else {
                throw MLOpsError(
                    .damaged, "pack `\(digest)` arrived damaged: \(check.problems.first?.text ?? "it is cut off")",
                    hint: "run the same command again")
            }
            guard entries.isEmpty || check.entries == entries else {
                throw MLOpsError(.damaged, "pack `\(digest)` holds other objects than its index says")
            }
            let file = try OpenFile(reading: temporaryPath)
            try Failpoint.reach("pull.chmod")
            if fchmod(file.descriptor, 0o444) != 0 {
                throw MLOpsError.system("set the mode of", temporaryPath, errno: errno)
            }
            if !isScratch { try file.synchronize() }
            try packs.prepare()
            try packs.install(temporary: temporaryPath, as: digest)
            let pack = IndexedPack(digest: digest, byteCount: check.byteCount, entries: check.entries)
            try index.record(packs: [pack], complete: [], folders: [])
        } catch {
            unlink(temporaryPath)
            throw error
        }
    }
}

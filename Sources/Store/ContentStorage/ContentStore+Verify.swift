internal import Basics
internal import Glibc

extension ContentStore {
    /// Reads every byte of every pack, and follows every root down to its chunks.
    ///
    /// - Parameter roots: what must be here whole, with the names to use for it.
    /// - Returns: each damaged or missing object with the roots that it hurts; a sound store gives none.
    package func verify(
        roots: [(name: String, root: ContentRoot)], jobs: Int = defaultJobs, progress: ProgressHandler? = nil
    ) async throws -> VerificationReport {
        let present = try packs.list().union(try index.packList().map(\.digest)).sorted()
        let total = try present.reduce(Int64(0)) { try $0 + (FileStatus.of(packs.path(of: $1))?.size ?? 0) }
        let counter = ProgressCounter(progress, totalBytes: total, totalFiles: present.count)
        let checks = try await mapConcurrently(present, width: max(1, jobs)) { pack in
            try Task.checkCancellation()
            let check = try self.check(pack)
            counter.add(bytes: check.byteCount, files: 1)
            return (pack, check)
        }
        var report = VerificationReport()
        report.repairedIndex = try repairIndex(from: checks.map(\.1))
        var damaged: [ObjectKey: (pack: Digest?, problem: String)] = [:]
        var wholePacks: [(pack: Digest, problem: String, keys: Set<ObjectKey>)] = []
        for (pack, check) in checks {
            report.packCount += 1
            report.objectCount += check.entries.count
            report.byteCount += check.byteCount
            for problem in check.problems {
                if let key = problem.key {
                    damaged[key] = (pack, problem.text)
                } else {
                    // The frames may be sound, but nothing in the pack says so.
                    wholePacks.append((pack, problem.text, Set(try index.objects(in: pack))))
                }
            }
        }
        // Old versions may have been left in files that hold other versions now: that hurts whoever still needs them.
        for (key, problem) in try verifyInPlace() where damaged[key] == nil { damaged[key] = (nil, problem) }
        let watched = Set(damaged.keys).union(wholePacks.flatMap(\.keys))
        var finder = HurtFinder(store: self, watched: watched)
        for (name, root) in roots { finder.follow(name, root) }
        if finder.foundMissing {
            // Only the index may lack it.
            _ = try rebuild()
            finder = HurtFinder(store: self, watched: watched)
            for (name, root) in roots { finder.follow(name, root) }
        }
        report.damages = finder.damages(damaged: damaged, wholePacks: wholePacks).filter { damage in
            damage.pack != nil || !damage.hurts.isEmpty
        }
        return report
    }

    /// Makes the index anew if it lacks objects that the packs have, or has others; whether it did.
    private func repairIndex(from checks: [PackCheck]) throws -> Bool {
        let keys = checks.flatMap { $0.entries.map(\.key) }
        guard try index.count() == Set(keys).count, try index.contains(keys, inPacksAlone: true).allSatisfy(\.self)
        else {
            // A footer that cannot be read tells nothing; what the index knows of its pack says whom it hurts.
            if checks.contains(where: { $0.entries.isEmpty && !$0.isClean }) { return false }
            _ = try rebuild()
            return true
        }
        return false
    }

    private func check(_ pack: Digest) throws -> PackCheck {
        do {
            return try PackCheck.run(at: packs.path(of: pack), expected: pack)
        } catch let error as MLOpsError where error.kind == .notFound || error.kind == .io || error.kind == .damaged {
            return PackCheck(problems: [PackCheck.Problem(key: nil, text: error.message)])
        }
    }

    /// Forgets all that the index says of objects and reads it from the packs again.
    ///
    /// - Throws: kind `.io` if the index's file cannot be written: what is in memory alone helps no later command.
    package func rebuildIndex() async throws -> RebuildReport {
        try index.requireFile()
        return try rebuild()
    }

    /// Reads what the index says of objects from the packs again, for this process alone where the file cannot be written.
    package func rereadPacks() async throws { _ = try rebuild() }

    /// Moves damaged packs out of the store, after what is sound in them has been put into a new pack; what was broken is
    /// then missing, and a pull brings it back.
    ///
    /// - Returns: the paths that the damaged packs have now.
    package func setAside(_ report: VerificationReport) async throws -> [String] {
        try await whileAlone {
            try packs.finishDoom()
            return try moveAside(report)
        }
    }

    private func moveAside(_ report: VerificationReport) throws -> [String] {
        let damaged = Set(report.damages.compactMap { $0.pack.flatMap { Digest($0) } }).sorted()
        let attic = FileSystem.join(folder, "store/damaged")
        var moved: [String] = []
        for pack in damaged {
            let path = packs.path(of: pack)
            guard FileSystem.exists(path) else { continue }
            try salvage(pack)
            try FileSystem.createDirectories(attic)
            let destination = FileSystem.join(attic, FileSystem.name(of: path))
            try Failpoint.reach("heal.aside")
            try FileSystem.rename(path, to: destination)
            try FileSystem.synchronizeDirectory(FileSystem.parent(of: path))
            try FileSystem.synchronizeDirectory(attic)
            moved.append(destination)
        }
        // What the index knew of a pack that is gone must not outlive it, also where none could be moved.
        _ = try rebuild()
        return moved
    }

    private func salvage(_ pack: Digest) throws {
        let keys = try index.objects(in: pack)
        let writer = try packs.writer()
        for (key, location) in zip(keys, try index.locate(keys)) {
            guard let location, location.pack == pack, let frame = try? storedFrame(key, at: location),
                (try? frame.decoded()) != nil
            else { continue }
            try writer.append(frame)
        }
        guard !writer.isEmpty else { return writer.abandon() }
        let finished = try writer.finish()
        try packs.install(temporary: finished.path, as: finished.digest)
    }
}

/// Finds out which roots need damaged or missing objects.
private struct HurtFinder {
    private static let fileLimit = 10

    let store: ContentStore
    /// Objects that lie in damaged places.
    let watched: Set<ObjectKey>

    private struct Hurt {
        var roots: Set<String> = []
        var files: [String] = []
    }

    private var hurts: [ObjectKey: Hurt] = [:]
    private var missing: [ObjectKey: String] = [:]

    var foundMissing: Bool { !missing.isEmpty }

    init(store: ContentStore, watched: Set<ObjectKey>) {
        self.store = store
        self.watched = watched
    }

    mutating func follow(_ name: String, _ root: ContentRoot) {
        follow(ContentStore.entry(root), path: "", name)
        // What names the content carries its totals too, and nothing else vouches for them.
        guard let found = try? store.totals(of: root),
            found.byteCount != root.byteCount || found.fileCount != root.fileCount
        else { return }
        let key = ObjectKey(root.kind == .tree ? .tree : .chunk, root.digest)
        let text = "has \(found.byteCount) bytes in \(Format.count(found.fileCount, "file"))"
        lack(key, text + ", and `\(name)` says \(root.byteCount) in \(root.fileCount)", name, "")
    }

    private mutating func hurt(_ key: ObjectKey, _ root: String, _ path: String) {
        hurts[key, default: Hurt()].roots.insert(root)
        let file = path.isEmpty ? root : "\(root): \(path)"
        // A chunk can stand in a file more than once.
        if let files = hurts[key]?.files, files.count < HurtFinder.fileLimit, files.last != file {
            hurts[key]?.files.append(file)
        }
    }

    private mutating func lack(_ key: ObjectKey, _ problem: String, _ root: String, _ path: String) {
        if !watched.contains(key) { missing[key] = problem }
        hurt(key, root, path)
    }

    private mutating func follow(_ entry: TreeEntry, path: String, _ root: String) {
        guard path.utf8.count <= 4096, entry.digest != emptyContent else { return }
        guard entry.kind == .tree else { return followParts(entry, path, root) }
        let key = ObjectKey(.tree, entry.digest)
        if (try? store.index.contains([key]))?.first == true {
            if watched.contains(key) { hurt(key, root, path) }
        } else {
            followParts(entry, path, root)
        }
        do {
            for child in try store.tree(entry).entries {
                follow(child, path: path.isEmpty ? child.name : path + "/" + child.name, root)
            }
        } catch {
            if hurts[key] == nil, hurts[ObjectKey(.manifest, entry.digest)] == nil {
                lack(key, (error as? MLOpsError)?.message ?? "\(error)", root, path)
            }
        }
    }

    /// The chunks of a file, or of a large listing.
    private mutating func followParts(_ entry: TreeEntry, _ path: String, _ root: String) {
        let chunk = ObjectKey(.chunk, entry.digest)
        let manifest = ObjectKey(.manifest, entry.digest)
        let isHere = (try? store.index.contains([chunk, manifest])) ?? [false, false]
        if isHere[0], entry.kind != .tree {
            if watched.contains(chunk) { hurt(chunk, root, path) }
            return
        }
        guard isHere[1] else {
            let key = entry.kind == .tree ? ObjectKey(.tree, entry.digest) : chunk
            return lack(key, "is not in the store", root, path)
        }
        if watched.contains(manifest) { hurt(manifest, root, path) }
        do {
            let listed = try store.manifest(entry.digest)
            follow(chunks: listed.entries, path, root)
            if listed.depth > 0 { follow(chunks: try store.chunks(of: listed), path, root) }
        } catch {
            // A segment that cannot be read has been noted as a chunk; a manifest has not, unless it is watched.
            if hurts[manifest] == nil { lack(manifest, (error as? MLOpsError)?.message ?? "\(error)", root, path) }
        }
    }

    private mutating func follow(chunks: [FileManifest.Entry], _ path: String, _ root: String) {
        let keys = chunks.map { ObjectKey(.chunk, $0.chunk) }
        let isHere = (try? store.index.contains(keys)) ?? keys.map { _ in false }
        for (key, isHere) in zip(keys, isHere) {
            if !isHere {
                lack(key, "is not in the store", root, path)
            } else if watched.contains(key) {
                hurt(key, root, path)
            }
        }
    }

    func damages(
        damaged: [ObjectKey: (pack: Digest?, problem: String)],
        wholePacks: [(pack: Digest, problem: String, keys: Set<ObjectKey>)]
    ) -> [VerificationReport.Damage] {
        var damages: [VerificationReport.Damage] = []
        for (pack, problem, keys) in wholePacks {
            let hurt = keys.compactMap { hurts[$0] }
            damages.append(
                VerificationReport.Damage(
                    pack: pack.description, object: nil, problem: problem,
                    hurts: Set(hurt.flatMap(\.roots)).sorted(),
                    files: Array(Set(hurt.flatMap(\.files)).sorted().prefix(HurtFinder.fileLimit))))
        }
        for (key, (pack, problem)) in damaged.sorted(by: { $0.key < $1.key }) {
            damages.append(damage(key, pack: pack?.description, problem))
        }
        for (key, problem) in missing.sorted(by: { $0.key < $1.key }) where damaged[key] == nil {
            damages.append(damage(key, pack: nil, problem))
        }
        return damages
    }

    private func damage(_ key: ObjectKey, pack: String?, _ problem: String) -> VerificationReport.Damage {
        VerificationReport.Damage(
            pack: pack, object: key.description, problem: problem, hurts: (hurts[key]?.roots ?? []).sorted(),
            files: hurts[key]?.files ?? [])
    }
}

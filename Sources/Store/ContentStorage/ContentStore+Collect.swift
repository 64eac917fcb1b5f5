internal import Basics
internal import Glibc

extension ContentStore {
    /// Removes what none of `roots` needs, unless it is young.
    ///
    /// Marking takes no lock. Packs are removed while nobody adds, after the roots and the packs were looked at again; what
    /// is needed of a mostly unneeded pack is copied into a new pack before. Stopped anywhere, the store is whole, and the
    /// next collection goes on.
    ///
    /// - Parameters:
    ///   - willRemove: called once it is certain that everything can be read, before anything is removed.
    ///   - roots: everything that may be needed, asked for again before anything is removed.
    /// - Throws: kind `.damaged`, with nothing removed, if a pack, tree or list cannot be read or something is missing below a
    ///   root; `.conflict` if additions do not end; what `roots` throws.
    package func collect(
        options: CollectionOptions,
        willRemove: @Sendable () async throws -> Void = {},
        roots: @escaping @Sendable () async throws -> [CollectionRoot]
    ) async throws -> CollectionReport {
        let collection = Collection(store: self, options: options, roots: roots)
        return try await collection.run(willRemove)
    }
}

/// One collection of garbage.
private final class Collection {
    /// The packs that are written anew between two sweeps hold about so much that is needed.
    private static let roundByteCount: Int64 = 1 << 30

    private let store: ContentStore
    private let options: CollectionOptions
    private let roots: @Sendable () async throws -> [CollectionRoot]
    private let youngSince: Timestamp
    private var report = CollectionReport()
    /// Packs that turned out to be needed after all, or cannot be written anew.
    private var passedOver: Set<Digest> = []

    private struct State {
        var inventory: PackInventory
        var roots: [CollectionRoot]
        var uses: [UseLog.Use]
        var live: LiveObjects
    }

    init(
        store: ContentStore, options: CollectionOptions, roots: @escaping @Sendable () async throws -> [CollectionRoot]
    ) {
        self.store = store
        self.options = options
        self.roots = roots
        youngSince = options.graceStart
    }

    func run(_ willRemove: () async throws -> Void) async throws -> CollectionReport {
        var state = try await look(after: nil)
        var plan = try plan(for: state)
        foretell(plan, state)
        if options.isDryRun { return report }
        if FileSystem.exists(store.packs.doomPath) {
            try await store.whileAlone(patience: options.patience) { try store.packs.finishDoom() }
        }
        try await willRemove()
        try Failpoint.reach("gc.start")
        (report.removedPackCount, report.rewrittenPackCount) = (0, 0)
        (report.removedObjectCount, report.freedByteCount) = (0, 0)
        while true {
            let dead = plan.dead.map { state.inventory.packs[$0].digest }.filter { !passedOver.contains($0) }
            if !dead.isEmpty {
                try await sweep(dead, from: &state)
            } else if try await !copyMixed(plan, state) {
                break
            }
            state = try await look(after: state)
            plan = try self.plan(for: state)
        }
        try await forgetInPlace(state)
        try await tidy()
        return report
    }

    // MARK: Marking

    /// What is there and what is needed of it, now.
    private func look(after earlier: State?) async throws -> State {
        let known = try await roots()
        let uses = try store.uses.read()
        let inventory = try PackInventory(of: store.packs, known: earlier?.inventory)
        if let earlier, earlier.roots == known, earlier.uses == uses,
            earlier.inventory.packs.map(\.digest) == inventory.packs.map(\.digest)
        {
            var state = earlier
            state.inventory = inventory
            return state
        }
        // What was added in place lies in no pack. The records say so, as packs do: the index may need room to be opened.
        let inPlace = try chunksInPlace()
        var live = LiveObjects(store: store, inventory: inventory) { $0.kind == .chunk && inPlace.contains($0.id) }
        // A fetch of one version can bring listings of others: only what was whole here once can have lost something.
        let whole = try store.wholes.read().keys
        for root in known where root.isKept && inventory.holdsTop(of: root.root) {
            let wasWhole = whole.contains(ContentStore.topKey(of: root.root))
            try live.mark(root.root, name: root.name, mayLack: root.isPartial || !wasWhole)
        }
        if let gap = live.gaps.first, !options.allowsPartial { throw incomplete(gap, count: live.gapCount) }
        for use in uses where use.time >= youngSince && inventory.holdsTop(of: use.root) {
            try live.mark(use.root, name: use.place, mayLack: true)
        }
        for pack in inventory.packs where pack.modified >= youngSince {
            for entry in pack.entries where entry.key.kind != .chunk { try live.markLeniently(entry.key) }
        }
        return State(inventory: inventory, roots: known, uses: uses, live: live)
    }

    private func chunksInPlace() throws -> Set<Digest> {
        let folder = store.index.inPlace
        return Set(try folder.list().flatMap { try folder.read($0) }.flatMap { $0.chunks.map(\.id) })
    }

    private func incomplete(_ gap: LiveObjects.Gap, count: Int) -> MLOpsError {
        let others = count > 1 ? " and \(Format.count(count - 1, "more object"))" : ""
        return MLOpsError(
            .damaged, "nothing was removed: `\(gap.root)` needs \(gap.key)\(others), which the store lacks",
            hint: "run `mlops fsck --heal` to fetch it, or give `--allow-partial` if it was left out on purpose")
    }

    private func plan(for state: State) throws -> CollectionPlan {
        try CollectionPlan(
            state.inventory, live: state.live, youngSince: youngSince, share: options.rewriteShare)
    }

    /// Puts into the report what would go.
    private func foretell(_ plan: CollectionPlan, _ state: State) {
        let packs = state.inventory.packs
        report.isDryRun = options.isDryRun
        report.packCount = packs.count
        report.objectCount = packs.reduce(0) { $0 + $1.entries.count }
        report.byteCount = packs.reduce(0) { $0 + $1.byteCount }
        report.removedPackCount = plan.dead.count + plan.deadLater.count
        report.rewrittenPackCount = plan.mixed.count
        for number in plan.leaving {
            report.removedObjectCount += packs[number].entries.count - plan.needed[number].count
            report.freedByteCount += packs[number].byteCount - plan.neededBytes[number]
        }
        report.youngPackCount = packs.indices.count {
            packs[$0].modified >= youngSince && plan.needed[$0].isEmpty
        }
        report.lost = lost(plan, state)
    }

    /// The names of what goes.
    private func lost(_ plan: CollectionPlan, _ state: State) -> [String] {
        let leaving = Set(plan.leaving)
        func goes(_ root: ContentRoot) -> Bool {
            [ObjectKind.chunk, .manifest, .tree].contains { kind in
                let key = ObjectKey(kind, root.digest)
                let places = state.inventory.all(key)
                return !places.isEmpty && !state.live.keys.contains(key)
                    && places.allSatisfy { leaving.contains(Int($0.pack)) }
            }
        }
        var names: [String] = []
        for root in state.roots where !root.isKept && goes(root.root) { names.append(root.name) }
        for use in state.uses where use.time < youngSince && goes(use.root) {
            names.append("\(use.place), added \(use.time.description.prefix(10))")
        }
        return Set(names).sorted()
    }

    // MARK: Removing

    /// Removes the packs that are still needed by nobody.
    private func sweep(_ packs: [Digest], from state: inout State) async throws {
        try Failpoint.reach("gc.mark")
        let earlier = state
        let (swept, latest) = try await store.whileAlone(patience: options.patience) { () -> ([Digest], State) in
            // A sweep that was killed comes first.
            try store.packs.finishDoom()
            let now = try await look(after: earlier)
            let plan = try plan(for: now)
            let dead = Set(plan.dead.map { now.inventory.packs[$0].digest })
            let doomed = packs.filter(dead.contains)
            try remove(doomed, now)
            return (doomed, now)
        }
        passedOver.formUnion(Set(packs).subtracting(swept))
        state = latest
    }

    private func remove(_ doomed: [Digest], _ state: State) throws {
        guard !doomed.isEmpty else { return }
        let leaving = Set(doomed)
        let copies = copies(of: leaving, state.inventory)
        let live = state.live.keys
        // A disk without any room takes no list and no transaction: then the packs just go, one by one.
        let isListed = try unlessFull { try store.packs.doom(doomed) }
        let forget = { [store] in
            try Failpoint.reach("gc.index")
            try store.index.forget(doomed, copies: copies, isLive: live.contains)
        }
        // The index mends itself when it names packs that are gone.
        var isForgotten = (try? forget()) != nil
        store.closePacks()
        try store.packs.remove(doomed)
        for pack in state.inventory.packs where leaving.contains(pack.digest) {
            report.freedByteCount += pack.byteCount
            report.removedPackCount += 1
            report.removedObjectCount += pack.entries.count
        }
        // A reader may have taken a pack in again just before it went.
        try Failpoint.reach("gc.reindex")
        let indexed = (try? store.index.packList()) ?? []
        if indexed.contains(where: { leaving.contains($0.digest) }) { isForgotten = false }
        if !isForgotten { try? forget() }
        if isListed { try store.packs.finishDoom() }
    }

    /// Whether `body` found room on the disk.
    private func unlessFull(_ body: () throws -> Void) throws -> Bool {
        do {
            try body()
            return true
        } catch let error as MLOpsError where error.kind == .io && error.message.contains("the disk is full") {
            return false
        }
    }

    /// Where else the objects of the leaving packs lie.
    private func copies(of leaving: Set<Digest>, _ inventory: PackInventory) -> [IndexedPack] {
        var entries: [Int: [PackEntry]] = [:]
        for key in inventory.copies.keys {
            let places = inventory.all(key)
            guard places.contains(where: { leaving.contains(inventory.packs[Int($0.pack)].digest) }) else { continue }
            for place in places where !leaving.contains(inventory.packs[Int(place.pack)].digest) {
                entries[Int(place.pack), default: []].append(inventory.entry(at: place))
            }
        }
        return entries.map { number, entries in
            let pack = inventory.packs[number]
            return IndexedPack(digest: pack.digest, byteCount: pack.byteCount, entries: entries)
        }
    }

    // MARK: Writing anew

    /// Copies what is needed of some packs into new ones; false if there is nothing to do or no room to do it.
    private func copyMixed(_ plan: CollectionPlan, _ state: State) async throws -> Bool {
        let open = plan.mixed.filter { !passedOver.contains(state.inventory.packs[$0].digest) }
        guard !open.isEmpty else { return false }
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        var writer = MixedPackCopy(store: store)
        var copied: [Int] = []
        do {
            var byteCount: Int64 = 0
            for number in open where byteCount < Collection.roundByteCount {
                try Task.checkCancellation()
                try writer.copy(plan.needed[number], of: state.inventory.packs[number])
                byteCount += plan.neededBytes[number]
                copied.append(number)
            }
            try writer.finish()
        } catch let error as MLOpsError where error.kind == .io {
            writer.abandon()
            guard report.freedByteCount > 0 else { throw error }
            report.postponedPackCount = open.count
            return false
        }
        report.rewrittenPackCount += copied.count
        // When the old packs go they count as removed; of them, this much is back.
        report.removedPackCount -= copied.count
        report.removedObjectCount -= copied.reduce(0) { $0 + plan.needed[$1].count }
        report.freedByteCount -= writer.byteCount
        return true
    }

    // MARK: Leftovers

    /// Removes the records of what was added in place and is needed no more; the files are the workspace's, and stay.
    private func forgetInPlace(_ state: State) async throws {
        guard try !unneededRecords(state).isEmpty else { return }
        report.leftoverCount += try await store.whileAlone(patience: options.patience) {
            let records = try unneededRecords(try await look(after: state))
            for record in records {
                try Failpoint.reach("gc.inplace")
                try FileSystem.removeFile(FileSystem.join(store.index.inPlace.path, record))
            }
            if !records.isEmpty { try FileSystem.synchronizeDirectory(store.index.inPlace.path) }
            return records.count
        }
    }

    /// The records that are old, and no chunk of which is needed and lies in no pack.
    private func unneededRecords(_ state: State) throws -> [String] {
        let folder = store.index.inPlace
        return try folder.list().filter { name in
            let status = try FileStatus.of(FileSystem.join(folder.path, name))
            guard let status, status.modificationNanoseconds / 1_000_000 < youngSince.milliseconds else { return false }
            return try folder.read(name).allSatisfy { file in
                file.chunks.allSatisfy { chunk in
                    let key = ObjectKey(.chunk, chunk.id)
                    return !state.live.keys.contains(key) || state.inventory.contains(key)
                }
            }
        }
    }

    private func tidy() async throws {
        try Failpoint.reach("gc.tidy")
        report.leftoverCount += try store.removeLeftovers(damagedBefore: youngSince)
        try? store.uses.forget(before: youngSince)
        try? store.wholes.compact(keeping: store.isPartlyStored)
    }
}

/// New packs with what is needed of old ones.
private struct MixedPackCopy {
    let store: ContentStore
    private var writer: PackWriter?
    private var finished: [IndexedPack] = []
    private(set) var byteCount: Int64 = 0

    init(store: ContentStore) { self.store = store }

    mutating func copy(_ needed: [Int32], of pack: PackInventory.Pack) throws {
        try Failpoint.reach("gc.copy")
        let file = try store.openPack(pack.digest)
        let entries = needed.sorted().map { pack.entries[Int($0)] }
        for (entry, runLength) in zip(entries, MixedPackCopy.runLengths(entries)) {
            let frame = PackFrame(entry, stored: try file.read(count: entry.storedLength, at: entry.offset))
            // A copy of what is broken would outlive the original, which can still be healed.
            _ = try frame.decoded()
            let open = try writer ?? store.packWriter()
            writer = open
            try open.align(runOf: runLength, to: entry.offset)
            try open.append(frame)
            if open.isFull { try install() }
        }
    }

    /// For each entry how many bytes as they are stand together from it on.
    private static func runLengths(_ entries: [PackEntry]) -> [Int] {
        var lengths = entries.map { $0.codec == .raw ? $0.storedLength : 0 }
        for index in entries.indices.dropLast().reversed()
        where lengths[index] > 0 && entries[index + 1].offset == entries[index].offset + Int64(lengths[index]) {
            lengths[index] += lengths[index + 1]
        }
        return lengths
    }

    /// Flushes what is left, and tells the index of all new packs.
    mutating func finish() throws {
        try install()
        try Failpoint.reach("gc.record")
        try store.index.record(packs: finished, complete: [], folders: [])
    }

    mutating func abandon() {
        writer?.abandon()
        writer = nil
    }

    private mutating func install() throws {
        guard let open = writer else { return }
        writer = nil
        let pack = try open.finish()
        try store.packs.install(temporary: pack.path, as: pack.digest)
        byteCount += pack.byteCount
        finished.append(IndexedPack(digest: pack.digest, byteCount: pack.byteCount, entries: pack.entries))
    }
}

extension ContentStore {
    /// Removes temporaries of dead processes, and packs that were set aside as damaged before `time`; how many.
    func removeLeftovers(damagedBefore time: Timestamp) throws -> Int {
        var count = 0
        if FileSystem.isDirectory(packs.path) { count += packs.removeLeftovers() }
        let attic = FileSystem.join(folder, "store/damaged")
        guard FileSystem.isDirectory(attic) else { return count }
        for name in try FileSystem.list(attic) where name.hasSuffix(".pack") {
            let path = FileSystem.join(attic, name)
            // Moving it there changed its status, and nothing did since.
            guard let status = try FileStatus.of(path), status.changeNanoseconds / 1_000_000 < time.milliseconds else {
                continue
            }
            try FileSystem.removeFile(path)
            count += 1
        }
        return count
    }
}

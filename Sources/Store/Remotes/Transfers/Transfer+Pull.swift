internal import Basics
package import ContentStorage

extension Transfer {
    /// Listings fetched along with one that is needed, because they lie beside it, at most.
    private static let companionLimit = 32 << 20

    /// Fetches what the store lacks of `roots`, every object verified; without a request if it lacks nothing.
    ///
    /// - Parameter selection: the parts of the roots that are wanted; only what they need is fetched.
    /// - Throws: kind `.notFound` if the remote lacks it too, `.damaged` naming the pack of the remote that is hurt.
    package func pull(_ roots: [ContentRoot], _ selection: PathSelection = .all) async throws -> TransferReport {
        var index: RemoteIndex?
        var missing: [MissingContent]?
        return try await pull(roots, selection, &missing, index: &index) { _ in false }
    }

    /// `pull` of contents that are to be checked out afterwards. Large files that the checkout would write are left to it:
    /// from the source it gets their chunks, which go into the store and into the file as they arrive.
    ///
    /// - Parameter isInPlace: whether they are to go into the file alone.
    package func pull(_ deliveries: [Delivery], isInPlace: Bool = false) async throws -> Arrival {
        var arrival = Arrival()
        var index: RemoteIndex?
        // Those of which all is wanted go together: their listings and packs are asked for at once.
        let whole = deliveries.filter(\.selection.isAll).map(\.root)
        let groups =
            [(whole, PathSelection.all)] + deliveries.filter { !$0.selection.isAll }.map { ([$0.root], $0.selection) }
        // What each lacks, while that is known.
        var missing: [[MissingContent]?] = groups.map { _ in nil }
        func pullAll(leaving isLeft: (MissingContent) -> Bool) async throws {
            for (number, (roots, selection)) in groups.enumerated() {
                let report = try await pull(roots, selection, &missing[number], index: &index, leaving: isLeft)
                arrival.report.add(report)
                // What came may be what others lack, too.
                for other in groups.indices where other != number && report.objectCount > 0 { missing[other] = nil }
            }
        }
        var streamed: Set<ObjectKey> = []
        var pool: PagePool?
        let large = deliveries.filter { $0.root.byteCount >= ContentStore.streamingMinimum }
        if !large.isEmpty {
            try await pullAll { !$0.isListing }
            let hasParts = missing.contains { $0?.contains(where: \.isPart) ?? true }
            if hasParts {
                let awaited = missing.compactMap(\.self).joined().reduce(0) { $0 + $1.byteCount }
                pool = RemoteChunkSource.pool(for: awaited)
                for delivery in large {
                    let chunks = try await store.chunksToStream(
                        of: delivery.root, to: delivery.path, delivery.selection,
                        missing: deliveries.count == 1 ? missing[delivery.selection.isAll ? 0 : 1] : nil,
                        isInPlace: isInPlace)
                    streamed = streamed.isEmpty ? chunks : streamed.union(chunks)
                }
            }
        }
        let left = streamed
        try await pullAll { !left.isDisjoint(with: $0.candidates) }
        // In place it also tells what may go because it is on the remote.
        if !streamed.isEmpty || isInPlace && !large.isEmpty {
            arrival.source = RemoteChunkSource(
                self, index: try await indexForPull(&index), pool: pool ?? RemoteChunkSource.pool())
        }
        return arrival
    }

    /// - Parameter known: what the store lacks of `roots`, if that is known; in the end what it still lacks.
    private func pull(
        _ roots: [ContentRoot], _ selection: PathSelection, _ known: inout [MissingContent]?,
        index: inout RemoteIndex?, leaving isLeft: (MissingContent) -> Bool
    ) async throws -> TransferReport {
        let start = ContinuousClock.now
        var report = TransferReport()
        var missing = try known ?? store.missingContent(below: roots, selection)
        defer { known = missing }
        if !missing.allSatisfy(isLeft) {
            let lease = try await store.lease()
            defer { withExtendedLifetime(lease) {} }
            defer { for root in roots { store.noteUse(of: root, place: "content of \(remote.location)") } }
            let index = try await indexForPull(&index)
            var fetched: Set<ObjectKey> = []
            // A listing that is missing hides what is below it, so each round can find more: also what was swept away before
            // the lease.
            while true {
                let needed = missing.filter { !isLeft($0) }
                if needed.isEmpty { break }
                let wanted = try choose(needed, from: index)
                guard !wanted.isSubset(of: fetched) else {
                    throw MLOpsError(
                        .damaged, "the store does not keep what the remote `\(remote.location)` sends",
                        hint: "run `mlops fsck`")
                }
                let companions = selection.isAll ? try companions(of: wanted, in: index) : []
                try await fetch(wanted.union(companions), from: index, report: &report)
                fetched.formUnion(wanted)
                missing = try store.missingContent(below: roots, selection)
            }
        }
        report.seconds = (ContinuousClock.now - start).seconds
        return report
    }

    private func indexForPull(_ known: inout RemoteIndex?) async throws -> RemoteIndex {
        if let known { return known }
        guard try await RemoteFormat.check(remote) else {
            throw MLOpsError(
                .notFound, "the remote `\(remote.location)` is empty: nothing was pushed there yet",
                hint: "run `mlops push` on the machine that has the data")
        }
        let index = try await indexReader.read(checksPacks: false).index
        known = index
        return index
    }

    private func choose(_ missing: [MissingContent], from index: RemoteIndex) throws -> Set<ObjectKey> {
        var wanted: Set<ObjectKey> = []
        var lacking: [MissingContent] = []
        for content in missing {
            if let key = content.candidates.first(where: index.contains) {
                wanted.insert(key)
            } else {
                lacking.append(content)
            }
        }
        if let first = lacking.first {
            let name = first.candidates.first.map { "\($0)" } ?? "content"
            throw MLOpsError(
                .notFound,
                "the remote `\(remote.location)` lacks \(Format.count(lacking.count, "object")) that \(lacking.count == 1 ? "is" : "are") needed, such as `\(name)`",
                hint: "run `mlops push` on the machine that has the data")
        }
        return wanted
    }

    /// Listings and lists of chunks that lie in the packs of wanted ones: most likely the next round would ask for them.
    private func companions(of wanted: Set<ObjectKey>, in index: RemoteIndex) throws -> [ObjectKey] {
        let packs = Set(wanted.lazy.filter { $0.kind != .chunk }.compactMap { index.places(of: $0).first?.pack })
        var keys: [ObjectKey] = []
        var byteCount = 0
        for pack in packs {
            for entry in index.packs[pack].entries where entry.key.kind != .chunk && !wanted.contains(entry.key) {
                byteCount += entry.storedLength
                if byteCount > Transfer.companionLimit { break }
                keys.append(entry.key)
            }
        }
        return try store.missingObjects(among: keys)
    }

    private func fetch(_ keys: Set<ObjectKey>, from index: RemoteIndex, report: inout TransferReport) async throws {
        let plan = FetchPlan(keys, from: index)
        let meter = ProgressMeter(totalBytes: plan.byteCount, totalFiles: plan.pieces.count, handler: progress)
        let assembler = PackAssembler(store: store)
        do {
            _ = try await mapConcurrently(plan.pieces, width: jobs) { piece in
                switch piece {
                case .whole(let pack): try await fetchWhole(pack, meter: meter)
                case .range(let pack, let range, let entries):
                    try await assembler.append(await fetchRange(pack, range, entries, meter: meter))
                }
                meter.add(files: 1)
            }
        } catch {
            // What came is worth keeping: the next pull does not fetch it again.
            _ = try? await assembler.finish()
            throw error
        }
        report.packCount += try await assembler.finish() + plan.wholeCount
        report.wholePackCount += plan.wholeCount
        report.objectCount += plan.objectCount
        report.byteCount += plan.byteCount
    }

    private func fetchWhole(_ pack: PackIndexFile.Pack, meter: ProgressMeter) async throws {
        let key = packKey(pack.digest)
        try await namingPack(key) {
            // Held open until the pack has its name, so that nobody takes it for garbage.
            let temporary = try TemporaryFile.create(beside: FileSystem.join(try store.packsFolder(), "pack"))
            let path = temporary.path
            defer { try? FileSystem.removeFile(path) }
            try Failpoint.reach("pull.pack")
            try await remote.download(key, to: path) { meter.add(bytes: $0) }
            do {
                try store.install(packAt: path, digest: pack.digest, entries: pack.entries)
            } catch {
                meter.add(bytes: -pack.byteCount)
                throw error
            }
        }
    }

    private func fetchRange(
        _ pack: PackIndexFile.Pack, _ range: Range<Int64>, _ entries: [PackEntry], meter: ProgressMeter
    ) async throws -> [PackFrame] {
        let key = packKey(pack.digest)
        return try await namingPack(key) {
            try Failpoint.reach("pull.range")
            let bytes = try await remote.get(key, range: range)
            let frames = try entries.map { entry in
                let start = Int(entry.offset - range.lowerBound)
                let frame = PackFrame(entry, stored: Array(bytes[start..<start + entry.storedLength]))
                _ = try frame.decoded()
                return frame
            }
            meter.add(bytes: range.upperBound - range.lowerBound)
            return frames
        }
    }

    /// `read`, whose errors of damage and absence become those of the pack `key` of the remote.
    func namingPack<Output>(_ key: String, _ read: () async throws -> Output) async throws -> Output {
        do {
            return try await lookingAgain(read)
        } catch let error as MLOpsError where error.kind == .damaged {
            throw damagedPack(key, cause: error)
        } catch let error as MLOpsError where error.kind == .notFound {
            throw lostPack(key, cause: error)
        }
    }

    private func lostPack(_ key: String, cause: any Error) -> MLOpsError {
        MLOpsError(
            .damaged, "the remote `\(remote.location)` has lost `\(key)`, which its index names",
            hint: "run `mlops push` where the data is whole: it sends what is gone", cause: cause)
    }
}

/// Which packs to fetch whole, and which ranges of others.
struct FetchPlan: Sendable {
    enum Piece: Sendable {
        case whole(PackIndexFile.Pack)
        case range(PackIndexFile.Pack, Range<Int64>, [PackEntry])
    }

    /// Reading over a gap of this many bytes costs less than another request.
    private static let gap: Int64 = 128 << 10
    /// Longer ranges are cut, so that several connections share the work and memory stays bounded.
    private static let longestRange: Int64 = 8 << 20

    private(set) var pieces: [Piece] = []
    private(set) var byteCount: Int64 = 0
    private(set) var wholeCount = 0
    private(set) var objectCount: Int

    init(_ keys: Set<ObjectKey>, from index: RemoteIndex) {
        objectCount = keys.count
        // An object in several packs comes from the one that is needed most.
        var need: [Int: Int] = [:]
        for key in keys { for place in index.places(of: key) { need[place.pack, default: 0] += 1 } }
        var chosen: [Int: [PackEntry]] = [:]
        for key in keys {
            let place = index.places(of: key).max { (need[$0.pack] ?? 0, $0.pack) < (need[$1.pack] ?? 0, $1.pack) }
            if let place { chosen[place.pack, default: []].append(index.entry(at: place)) }
        }
        for (pack, entries) in chosen.sorted(by: { $0.key < $1.key }) { add(index.packs[pack], entries) }
    }

    private mutating func add(_ pack: PackIndexFile.Pack, _ entries: [PackEntry]) {
        let needed = entries.reduce(Int64(0)) { $0 + Int64($1.storedLength) }
        if needed * 2 >= pack.byteCount {
            pieces.append(.whole(pack))
            byteCount += pack.byteCount
            wholeCount += 1
            return
        }
        var current: [PackEntry] = []
        var range: Range<Int64> = 0..<0
        for entry in entries.sorted(by: { $0.offset < $1.offset }) {
            let end = entry.offset + Int64(entry.storedLength)
            let isNear = entry.offset - range.upperBound <= FetchPlan.gap
            if !current.isEmpty, isNear, end - range.lowerBound <= FetchPlan.longestRange {
                current.append(entry)
                range = range.lowerBound..<end
            } else {
                close(pack, range, current)
                (current, range) = ([entry], entry.offset..<end)
            }
        }
        close(pack, range, current)
    }

    private mutating func close(_ pack: PackIndexFile.Pack, _ range: Range<Int64>, _ entries: [PackEntry]) {
        guard !entries.isEmpty else { return }
        pieces.append(.range(pack, range, entries))
        byteCount += range.upperBound - range.lowerBound
    }
}

/// Puts objects that came in ranges into packs of this store.
private actor PackAssembler {
    private let store: ContentStore
    private var writer: PackWriter?
    private var installedCount = 0

    init(store: ContentStore) { self.store = store }

    func append(_ frames: [PackFrame]) throws {
        for frame in frames {
            let open = try writer ?? store.packWriter()
            writer = open
            try open.append(frame)
            if open.isFull { try install() }
        }
    }

    /// Installs what is left; the count of packs that were installed in all.
    func finish() throws -> Int {
        try install()
        return installedCount
    }

    private func install() throws {
        guard let open = writer else { return }
        writer = nil
        let pack = try open.finish()
        do {
            try store.install(packAt: pack.path, digest: pack.digest, entries: pack.entries)
        } catch {
            try? FileSystem.removeFile(pack.path)
            throw error
        }
        installedCount += 1
    }
}

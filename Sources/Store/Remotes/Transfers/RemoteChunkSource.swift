internal import Basics
package import ContentStorage
internal import Dispatch
internal import Synchronization

/// Content that is wanted at a path.
package struct Delivery: Sendable {
    package var root: ContentRoot
    /// Where it will be checked out.
    package var path: String
    package var selection: PathSelection

    package init(_ root: ContentRoot, to path: String, _ selection: PathSelection = .all) {
        self.root = root
        self.path = path
        self.selection = selection
    }
}

/// What a pull brought, and where the rest comes from.
package struct Arrival: Sendable {
    /// What was fetched, before the checkout.
    package var report = TransferReport()
    /// For the checkout; nil if the store has everything.
    package var source: RemoteChunkSource?

    package init() {}

    /// What was fetched in all, once the checkout is done.
    package var total: TransferReport {
        var total = report
        if let source { total.add(source.report) }
        return total
    }
}

/// Hands the chunks of large files from a remote to a checkout, fetched in order and a few ranges ahead.
package final class RemoteChunkSource: ChunkSource {
    private let transfer: Transfer
    private let index: RemoteIndex
    private let moved = Mutex(TransferReport())
    private let pool: PagePool

    init(_ transfer: Transfer, index: RemoteIndex, pool: PagePool) {
        self.transfer = transfer
        self.index = index
        self.pool = pool
    }

    /// Memory for what a source fetches.
    ///
    /// - Parameter byteCount: what it will fetch soon; memory is made ready for as much of that as is under way at a time.
    static func pool(for byteCount: Int64 = 0) -> PagePool {
        let pool = PagePool(byteCount: Int(longestSegment) + PagePool.pageSize)
        pool.prepare(Int(min(Int64(usualWidth), byteCount / longestSegment)))
        return pool
    }

    /// What was fetched so far.
    package var report: TransferReport { moved.withLock { $0 } }

    package func holds(_ key: ObjectKey) -> Bool { index.contains(key) }

    package func stream(_ runs: [ChunkRun], proves: Bool) -> any ChunkStream {
        let stretches = runs.flatMap(stretches)
        // Whoever looks at no chunk takes their bytes as the server has them; those that are compressed come whole.
        let isCutFreely = !proves && stretches.allSatisfy { $0.entries.allSatisfy { $0.codec == .raw } }
        let segments = stretches.flatMap { isCutFreely ? $0.cutAtMultiples() : $0.cutBetweenChunks() }
        return RemoteChunkStream(segments, width: width) { [self] in
            try await fetch($0, proves: proves)
        }
    }

    /// Bytes of a pack of the remote that stand side by side in the file, too.
    fileprivate struct Segment: Sendable {
        var pack: PackIndexFile.Pack
        /// The chunks that end in it.
        var entries: [PackEntry]
        var range: Range<Int64>
        /// Where it begins in the file.
        var offset: Int64

        /// Cut at multiples of `longestSegment` in the pack, where the server's own pieces end; through chunks where they lie across.
        func cutAtMultiples() -> [Segment] {
            var segments: [Segment] = []
            var (start, rest) = (range.lowerBound, entries[...])
            while start < range.upperBound {
                let end = min(range.upperBound, (start / longestSegment + 1) * longestSegment)
                let ended = rest.prefix { $0.offset + Int64($0.storedLength) <= end }
                segments.append(
                    Segment(
                        pack: pack, entries: Array(ended), range: start..<end,
                        offset: offset + (start - range.lowerBound)
                    ))
                rest = rest.dropFirst(ended.count)
                start = end
            }
            return segments
        }

        /// Cut between chunks, none longer than `longestSegment`.
        func cutBetweenChunks() -> [Segment] {
            var segments: [Segment] = []
            var (start, startOffset, place) = (0, offset, offset)
            func close(before end: Int) {
                guard end > start else { return }
                let last = entries[end - 1]
                segments.append(
                    Segment(
                        pack: pack, entries: Array(entries[start..<end]),
                        range: entries[start].offset..<last.offset + Int64(last.storedLength), offset: startOffset))
            }
            for (index, entry) in entries.enumerated() {
                if place + Int64(max(entry.plainLength, entry.storedLength)) - startOffset > longestSegment {
                    close(before: index)
                    (start, startOffset) = (index, place)
                }
                place += Int64(entry.plainLength)
            }
            close(before: entries.count)
            return segments
        }
    }

    /// Longer ones are cut, so that all connections work and memory stays bounded. Servers read what is asked for in pieces of
    /// their own, 8 MiB as a rule; of a range that begins or ends inside of one they read the rest in vain.
    private static let longestSegment: Int64 = 16 << 20

    /// How many are under way: fewer than small ones would be, since each keeps a connection busy for long and takes memory.
    private var width: Int { min(8, max(min(transfer.jobs, RemoteChunkSource.usualWidth), transfer.jobs / 2)) }
    private static let usualWidth = 4

    /// The chunks of `run`, those together that are neighbours in a pack, too.
    private func stretches(of run: ChunkRun) -> [Segment] {
        var stretches: [Segment] = []
        var open: Segment?
        var offset = run.offset
        for key in run.keys {
            let places = index.places(of: key)
            // Taken out, so that its entries are not copied for each one more.
            if var stretch = open.take() {
                let next = places.first {
                    index.packs[$0.pack].digest == stretch.pack.digest
                        && index.entry(at: $0).offset == stretch.range.upperBound
                }
                if let next {
                    let entry = index.entry(at: next)
                    stretch.entries.append(entry)
                    stretch.range = stretch.range.lowerBound..<entry.offset + Int64(entry.storedLength)
                    offset += Int64(entry.plainLength)
                    open = stretch
                    continue
                }
                stretches.append(stretch)
            }
            guard let place = places.first else { continue }
            let entry = index.entry(at: place)
            open = Segment(
                pack: index.packs[place.pack], entries: [entry],
                range: entry.offset..<entry.offset + Int64(entry.storedLength), offset: offset)
            offset += Int64(entry.plainLength)
        }
        if let open { stretches.append(open) }
        return stretches
    }

    /// - Parameter proves: whether chunks that came as they are must be what their keys say.
    private func fetch(_ segment: Segment, proves: Bool) async throws -> ChunkBatch {
        let batch = try await transfer.namingPack(packKey(segment.pack.digest)) {
            try Failpoint.reach("pull.range")
            let range = segment.range
            guard range.upperBound - range.lowerBound <= 2 * RemoteChunkSource.longestSegment else {
                throw MLOpsError(.damaged, "its index names chunks that are too long")
            }
            let stored = pool.take(
                Int(range.upperBound - range.lowerBound), phase: Int(segment.offset % Int64(PagePool.pageSize)))
            try await transfer.remote.read(packKey(segment.pack.digest), from: range.lowerBound, into: stored)
            var batch = try ChunkBatch(segment.entries, stored: stored, pool: pool)
            if proves { try batch.prove() }
            return batch
        }
        moved.withLock {
            $0.objectCount += batch.entries.count
            $0.byteCount += Int64(batch.stored.count)
        }
        return batch
    }
}

/// Keeps some fetches under way, and hands out what they bring in order.
private final class RemoteChunkStream: ChunkStream {
    typealias Fetch = @Sendable (_ segment: RemoteChunkSource.Segment) async throws -> ChunkBatch

    /// One fetch: what it brought, once `isDone` was signalled.
    private final class Slot: Sendable {
        private let outcome = Mutex<Result<ChunkBatch, any Error>?>(nil)
        private let isDone = DispatchSemaphore(value: 0)
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(_ segment: RemoteChunkSource.Segment, _ fetch: @escaping Fetch) {
            let task = Task { [self] in
                let result: Result<ChunkBatch, any Error>
                do {
                    result = .success(try await fetch(segment))
                } catch {
                    result = .failure(error)
                }
                outcome.withLock { $0 = result }
                isDone.signal()
            }
            self.task.withLock { $0 = task }
        }

        func cancel() { task.withLock { $0?.cancel() } }

        func wait() throws -> ChunkBatch {
            isDone.wait()
            return try outcome.withLock { outcome in
                guard let outcome else { throw CancellationError() }
                return try outcome.get()
            }
        }
    }

    private struct State {
        var waiting: [RemoteChunkSource.Segment]
        var running: [Slot] = []
        var isStopped = false
    }

    private let width: Int
    private let fetch: Fetch
    private let state: Mutex<State>

    init(_ segments: [RemoteChunkSource.Segment], width: Int, fetch: @escaping Fetch) {
        self.width = width
        self.fetch = fetch
        state = Mutex(State(waiting: segments.reversed()))
        state.withLock { fill(&$0) }
    }

    private func fill(_ state: inout State) {
        while !state.isStopped, state.running.count < width, let segment = state.waiting.popLast() {
            state.running.append(Slot(segment, fetch))
        }
    }

    func next() throws -> ChunkBatch? {
        let slot = try state.withLock { state in
            if state.isStopped { throw CancellationError() }
            return state.running.first
        }
        guard let slot else { return nil }
        let batch = Result { try slot.wait() }
        state.withLock { state in
            if !state.running.isEmpty { state.running.removeFirst() }
            fill(&state)
        }
        return try batch.get()
    }

    func stop() {
        let running = state.withLock { state in
            state.isStopped = true
            state.waiting = []
            return state.running
        }
        for slot in running { slot.cancel() }
    }
}

internal import CSystem
internal import Dispatch
internal import Glibc
internal import Synchronization

/// Fills a new file from its start in large aligned blocks, which a thread of its own writes past the page cache.
///
/// Copying into the page cache costs a processor about as much as hashing; the disk can take the bytes from where they
/// lie (`O_DIRECT`). Where the file system does not offer that, and for what fills no block, the page cache is used.
/// Nothing is flushed here.
// @unchecked: one task at a time appends; a block is the queue's from the moment it is handed over until `free` is signalled.
package final class BlockWriter: @unchecked Sendable {
    /// What becomes of the bytes when the disk is slower than memory.
    package enum Patience: Sendable {
        /// The file is flushed before it counts, so whoever waits for the disk loses nothing.
        case waitsForDisk
        /// The file may reach the disk later: a slow disk is left to the page cache.
        case leavesSlowDisk
    }

    private static let blockLength = 2 << 20
    private static let blockCount = 3
    private static let alignment = PagePool.pageSize
    /// Fewer bytes are copied, so that writes stay large.
    private static let lendingMinimum = 512 << 10
    private static let lendingCount = 2
    /// Writers come and go, one a pack: fresh memory for each would be cleared again and again, and lie in pieces afterwards.
    private static let pool = PagePool(byteCount: blockLength, prefersLargePages: false)

    private let sink: BlockSink
    private var blocks: [PooledBytes] = []
    private var turn = 0
    private var filled = 0
    private let free = DispatchSemaphore(value: blockCount)
    private let lendable = DispatchSemaphore(value: lendingCount)
    private let queue = DispatchQueue(label: "mlops.write")
    private var isHolding = false

    /// The bytes appended so far.
    package private(set) var byteCount: Int64 = 0

    /// - Parameter file: empty, open for writing, its position at the start.
    package init(_ file: OpenFile, patience: Patience) { sink = BlockSink(file, patience: patience) }

    deinit {
        // The queue's work holds the sink and never the writer, so this does not run on the queue.
        queue.sync {}
        // A semaphore must end as it began.
        if isHolding { free.signal() }
    }

    /// - Throws: what writing an earlier block ran into.
    package func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let block = try current()
            let count = min(rest.count, block.count - filled)
            UnsafeMutableRawBufferPointer(rebasing: block[filled..<filled + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
            filled += count
            rest = rest.dropFirst(count)
            if filled == block.count { submit() }
        }
        byteCount += Int64(bytes.count)
    }

    package func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }

    /// Appends bytes that stay as they are until they are written. Those that lie in their pages as they will in the file's are
    /// written from where they are.
    ///
    /// - Parameter isShared: whether somebody else is lent them too.
    /// - Throws: what writing an earlier block ran into.
    package func append(lending bytes: PooledBytes, isShared: Bool = false) throws {
        // The first page of shared bytes is the other's to complete.
        let head = isShared ? (BlockWriter.alignment - bytes.phase) % BlockWriter.alignment : 0
        let isInPlace =
            bytes.phase == filled % BlockWriter.alignment && bytes.count - head >= BlockWriter.lendingMinimum
        guard isInPlace else { return try append(bytes.bytes) }
        if head > 0 { try append(UnsafeRawBufferPointer(rebasing: bytes.bytes[..<head])) }
        lendable.wait()
        do {
            try sink.check()
            // What does not fill a page goes before them, into their first page.
            if isShared {
                if filled > 0 { submit() }
            } else if filled > 0 {
                let start = filled - bytes.phase
                bytes.fromPage.copyMemory(from: UnsafeRawBufferPointer(rebasing: blocks[turn].bytes[start..<filled]))
                filled = start
                if filled > 0 { submit() }
            }
        } catch {
            lendable.signal()
            throw error
        }
        let start = isShared ? bytes.phase + head : 0
        let end = bytes.fromPage.count / BlockWriter.alignment * BlockWriter.alignment
        queue.async { [sink, lendable] in
            sink.write(UnsafeRawBufferPointer(rebasing: bytes.fromPage[start..<end]))
            lendable.signal()
        }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.fromPage[end...])
        byteCount += Int64(bytes.count - head - rest.count)
        try append(rest)
    }

    /// Appends bytes of another file by sharing their blocks with it; after whole pages, and of whole pages.
    ///
    /// - Returns: false, with nothing appended, where the file system cannot.
    /// - Throws: what writing an earlier block ran into.
    package func append(sharing source: OpenFile, from start: Int64, count: Int64) throws -> Bool {
        precondition(filled % BlockWriter.alignment == 0, "the pages before are whole")
        if filled > 0 { submit() }
        queue.sync {}
        try sink.check()
        guard try sink.share(source, from: start, count: count, at: byteCount) else { return false }
        byteCount += count
        return true
    }

    /// Hands all bytes to the file. The writer cannot be used afterwards.
    package func finish() throws {
        queue.sync {}
        try sink.check()
        guard filled > 0 else { return }
        try sink.writeEnd(UnsafeRawBufferPointer(rebasing: blocks[turn].bytes[..<filled]))
        filled = 0
    }

    private func current() throws -> UnsafeMutableRawBufferPointer {
        if !isHolding {
            free.wait()
            isHolding = true
            try sink.check()
        }
        if turn == blocks.count { blocks.append(BlockWriter.pool.take(BlockWriter.blockLength)) }
        return blocks[turn].memory
    }

    private func submit() {
        // Nobody fills it before the queue signals `free`.
        nonisolated(unsafe) let block = UnsafeRawBufferPointer(rebasing: blocks[turn].bytes[..<filled])
        turn = (turn + 1) % BlockWriter.blockCount
        filled = 0
        isHolding = false
        queue.async { [sink, free] in
            sink.write(block)
            free.signal()
        }
    }
}

/// Where the blocks of a `BlockWriter` go.
// @unchecked: the queue's alone, or the writer's while the queue is idle; `failure` has a lock.
private final class BlockSink: @unchecked Sendable {
    /// The kernel is asked to start writing whenever this much has gathered in the page cache.
    private static let writebackLength: Int64 = 8 << 20
    /// A disk that is not this quick after `trialLength` is called slow, in bytes a second.
    private static let slowRate = 250e6
    private static let trialLength: Int64 = 32 << 20

    private let file: OpenFile
    private let patience: BlockWriter.Patience
    private let failure = Mutex<(any Error)?>(nil)
    private var isStarted = false
    private var isDirect = false
    private var directSeconds = 0.0
    private var written: Int64 = 0
    private var writebackStart: Int64 = 0

    init(_ file: OpenFile, patience: BlockWriter.Patience) {
        self.file = file
        self.patience = patience
    }

    /// - Throws: what an earlier block ran into.
    func check() throws { try failure.withLock { if let failure = $0 { throw failure } } }

    /// Writes whole pages, past the page cache if that goes.
    func write(_ block: UnsafeRawBufferPointer) {
        guard failure.withLock({ $0 == nil }) else { return }
        if !isStarted {
            isStarted = true
            isDirect = mlops_set_direct(file.descriptor, 1) == 1
        }
        do {
            let start = ContinuousClock.now
            try file.write(block)
            written += Int64(block.count)
            isDirect ? judge(ContinuousClock.now - start) : startWriteback()
        } catch {
            failure.withLock { $0 = error }
        }
    }

    /// Takes blocks of another file; false where that cannot be.
    func share(_ source: OpenFile, from start: Int64, count: Int64, at offset: Int64) throws -> Bool {
        guard file.shareBlocks(of: source, from: start, count: count, at: offset) else { return false }
        guard lseek(file.descriptor, off_t(offset + count), SEEK_SET) >= 0 else {
            throw MLOpsError.system("seek in", file.path, errno: errno)
        }
        written += count
        return true
    }

    /// Writes what fills no block.
    func writeEnd(_ bytes: UnsafeRawBufferPointer) throws {
        leaveDirect()
        try file.write(bytes)
    }

    /// Leaves the disk to the page cache if it is slow and nobody waits for it.
    private func judge(_ time: Duration) {
        directSeconds += time.seconds
        guard patience == .leavesSlowDisk, written >= BlockSink.trialLength,
            Double(written) < BlockSink.slowRate * directSeconds
        else { return }
        leaveDirect()
        writebackStart = written
    }

    private func leaveDirect() {
        guard isDirect else { return }
        isDirect = false
        _ = mlops_set_direct(file.descriptor, 0)
    }

    private func startWriteback() {
        guard patience == .waitsForDisk, written - writebackStart >= BlockSink.writebackLength else { return }
        // Advice only: the flush at the end is what counts.
        file.startWriteback(from: writebackStart, count: written - writebackStart)
        writebackStart = written
    }
}

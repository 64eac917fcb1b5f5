internal import Dispatch
internal import Glibc
internal import Synchronization

/// Memory for bytes on their way, in pages, used again and again: the kernel clears fresh memory and maps it page by page, which
/// costs about as much as copying into it.
package final class PagePool: Sendable {
    package static let pageSize = 4096

    private let byteCount: Int
    private let prefersLargePages: Bool
    private let idle = Mutex<[Pages]>([])

    fileprivate struct Pages: @unchecked Sendable {
        // Whoever holds it uses it alone.
        var memory: UnsafeMutableRawBufferPointer
    }

    /// - Parameters:
    ///   - byteCount: what most runs of bytes need at most; longer ones get memory of their own.
    ///   - prefersLargePages: false if often only the beginning of it is used: a large page is cleared as a whole.
    package init(byteCount: Int, prefersLargePages: Bool = true) {
        self.byteCount = PagePool.pageCount(byteCount) * PagePool.pageSize
        self.prefersLargePages = prefersLargePages
    }

    deinit { idle.withLock { for pages in $0 { pages.memory.deallocate() } } }

    /// Makes memory for `count` runs of bytes that will soon be taken, and has another thread see to it that it is cleared.
    package func prepare(_ count: Int) {
        let fresh = (0..<count).map { _ in Pages(memory: allocate(byteCount)) }
        idle.withLock { $0 += fresh }
        // The pool, which is held meanwhile, keeps the memory; whoever takes some may fill it at once.
        DispatchQueue.global().async {
            // In the order in which it is taken.
            for pages in fresh.reversed() { self.populate(pages) }
        }
    }

    /// Has the kernel map the pages, whatever they hold. Kernels before 5.14 leave that to the first write.
    private func populate(_ pages: Pages) {
        let step = 2 << 20
        for start in stride(from: 0, to: pages.memory.count, by: step) {
            let place = pages.memory.baseAddress?.advanced(by: start)
            guard madvise(place, min(step, pages.memory.count - start), MADV_POPULATE_WRITE) == 0 else { return }
        }
    }

    /// Room for `count` bytes that begin `phase` bytes into a page.
    package func take(_ count: Int, phase: Int = 0) -> PooledBytes {
        precondition((0..<PagePool.pageSize).contains(phase), "phase \(phase) is not within a page")
        let needed = PagePool.pageCount(phase + count) * PagePool.pageSize
        let reused = needed <= byteCount ? idle.withLock { $0.popLast() } : nil
        let pages = reused ?? Pages(memory: allocate(max(needed, byteCount)))
        return PooledBytes(pages: pages, pool: self, phase: phase, count: count)
    }

    /// Large memory in large pages, where the system has them: less to map, and less to hold still while a disk reads it.
    private func allocate(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let large = 2 << 20
        guard prefersLargePages, byteCount >= large else {
            return .allocate(byteCount: byteCount, alignment: PagePool.pageSize)
        }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: large)
        // What fills no large page is not to make one.
        _ = madvise(memory.baseAddress, byteCount / large * large, MADV_HUGEPAGE)
        return memory
    }

    fileprivate func give(_ pages: Pages) {
        guard pages.memory.count == byteCount else { return pages.memory.deallocate() }
        idle.withLock { $0.append(pages) }
    }

    private static func pageCount(_ byteCount: Int) -> Int { max(1, (byteCount + pageSize - 1) / pageSize) }
}

/// Bytes in memory of a pool, which goes back there with the last reference.
// @unchecked: one thread at a time fills it; whoever reads it comes after.
package final class PooledBytes: @unchecked Sendable {
    fileprivate let pages: PagePool.Pages
    private let pool: PagePool
    /// Where the bytes begin in their first page.
    package let phase: Int
    package let count: Int

    fileprivate init(pages: PagePool.Pages, pool: PagePool, phase: Int, count: Int) {
        self.pages = pages
        self.pool = pool
        self.phase = phase
        self.count = count
    }

    deinit { pool.give(pages) }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }

    /// The same, to be filled.
    package var memory: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: pages.memory[phase..<phase + count])
    }

    /// From the beginning of the first page to the last byte: the first `phase` bytes are room for what comes before.
    var fromPage: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: pages.memory[..<(phase + count)])
    }
}

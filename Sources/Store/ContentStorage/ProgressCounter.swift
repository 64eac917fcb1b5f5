internal import Basics
internal import Synchronization

/// Adds up what tasks have done and tells whoever asked.
final class ProgressCounter: Sendable {
    private let state: Mutex<TransferProgress>
    private let handler: ProgressHandler?

    init(_ handler: ProgressHandler?, totalBytes: Int64, totalFiles: Int) {
        state = Mutex(TransferProgress(totalBytes: totalBytes, totalFiles: totalFiles))
        self.handler = handler
    }

    func add(bytes: Int64, files: Int) {
        let now = state.withLock { state in
            state.doneBytes += bytes
            state.doneFiles += files
            return state
        }
        handler?(now)
    }
}

/// Items that several tasks take one after the other.
final class WorkQueue<Item: Sendable>: Sendable {
    private let items: [Item]
    private let left: Mutex<Range<Int>>

    init(_ items: [Item]) {
        self.items = items
        left = Mutex(items.indices)
    }

    /// The next item; nil when all are taken.
    ///
    /// - Parameter isFromEnd: takes the last one. Whoever works from the other end stays out of the way of those at the start.
    func next(isFromEnd: Bool = false) -> Item? {
        left.withLock { left in
            guard !left.isEmpty else { return nil }
            defer { left = isFromEnd ? left.lowerBound..<left.upperBound - 1 : left.lowerBound + 1..<left.upperBound }
            return items[isFromEnd ? left.upperBound - 1 : left.lowerBound]
        }
    }
}

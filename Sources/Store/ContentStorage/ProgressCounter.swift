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
    private let position = Atomic<Int>(0)

    init(_ items: [Item]) { self.items = items }

    /// The next item; nil when all are taken.
    func next() -> Item? {
        let index = position.wrappingAdd(1, ordering: .relaxed).oldValue
        return index < items.count ? items[index] : nil
    }
}

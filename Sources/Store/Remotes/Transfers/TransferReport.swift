internal import Basics
internal import ContentStorage
internal import Synchronization

/// What a push or a pull moved.
package struct TransferReport: Encodable, Sendable {
    /// Packs sent or stored.
    package var packCount = 0
    /// Of those, how many went as they were.
    package var wholePackCount = 0
    /// Packs that an interrupted push had left there already.
    package var resumedPackCount = 0
    /// Objects that the other side lacked.
    package var objectCount = 0
    /// Bytes of packs sent or received.
    package var byteCount: Int64 = 0
    package var seconds = 0.0

    package init() {}

    /// Takes in what another transfer moved after this one.
    package mutating func add(_ other: TransferReport) {
        packCount += other.packCount
        wholePackCount += other.wholePackCount
        resumedPackCount += other.resumedPackCount
        objectCount += other.objectCount
        byteCount += other.byteCount
        seconds += other.seconds
    }

    /// Whether the other side had everything.
    package var isNothingNew: Bool { objectCount == 0 }
}

/// Adds up the progress of many transfers and hands it on.
final class ProgressMeter: Sendable {
    private let state: Mutex<TransferProgress>
    private let handler: ProgressHandler?

    init(totalBytes: Int64, totalFiles: Int, handler: ProgressHandler?) {
        state = Mutex(TransferProgress(totalBytes: totalBytes, totalFiles: totalFiles))
        self.handler = handler
        handler?(TransferProgress(totalBytes: totalBytes, totalFiles: totalFiles))
    }

    func add(bytes: Int64 = 0, files: Int = 0) {
        guard let handler else { return }
        // Within the lock, so that reports arrive in their order.
        state.withLock { progress in
            progress.doneBytes += bytes
            progress.doneFiles += files
            handler(progress)
        }
    }
}

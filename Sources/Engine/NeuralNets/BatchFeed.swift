internal import Dispatch

/// The batches of an epoch one after the other, the next of them made on another thread meanwhile if wanted.
final class BatchFeed {
    private let source: any BatchSource
    private let pieces: [[Int]]
    private var next = 0
    private let queue: DispatchQueue?
    private var pending: Pending?

    /// A batch on its way.
    ///
    /// `@unchecked Sendable`: the other thread writes before it signals, this one reads after it has waited.
    private final class Pending: @unchecked Sendable {
        let source: any BatchSource
        let indices: [Int]
        let isDone = DispatchSemaphore(value: 0)
        var result: Result<Batch, any Error>?

        init(_ source: any BatchSource, _ indices: [Int]) {
            self.source = source
            self.indices = indices
        }

        func make() {
            result = Result { try source.batch(indices) }
            isDone.signal()
        }
    }

    /// - Parameter pieces: the examples of each batch.
    init(_ source: any BatchSource, _ pieces: [[Int]], prefetches: Bool) {
        self.source = source
        self.pieces = pieces
        queue = prefetches ? DispatchQueue(label: "next batch") : nil
        ask()
    }

    /// Waits for what is on its way: the source must not be in use when its owner goes on.
    func close() {
        pending?.isDone.wait()
        pending = nil
    }

    /// The next batch, of the next of `pieces`.
    func take() throws -> Batch {
        guard let pending else {
            next += 1
            return try source.batch(pieces[next - 1])
        }
        pending.isDone.wait()
        self.pending = nil
        next += 1
        ask()
        guard let result = pending.result else { preconditionFailure("a batch was signalled before it was made") }
        return try result.get()
    }

    private func ask() {
        guard let queue, next < pieces.count else { return }
        let pending = Pending(source, pieces[next])
        self.pending = pending
        queue.async { pending.make() }
    }
}

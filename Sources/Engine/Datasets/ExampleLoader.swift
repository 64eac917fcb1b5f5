internal import Basics
internal import Synchronization
package import Tensors

/// A batch as a network takes it.
package struct LoadedBatch: Sendable {
    /// f32, `[count] + shape`.
    package var inputs: Tensor
    /// Class indices, i64 `[count]`; or, where an augmentation mixes examples, f32 `[count, classes]` with rows of probabilities that sum
    /// to 1. The loss of a row is then `-Σ target · log softmax(output)`; the class of a row for a metric is the largest.
    package var targets: Tensor
}

/// Makes the batches of a training: it puts examples together, augments them, and works ahead of the training on threads of its own.
///
/// The numbers of a batch depend on seed, epoch and the examples' indices alone, whatever the threads. At most `threads + ahead` batches
/// are in memory besides the one that is used.
package final class ExampleLoader: Sendable {
    package let examples: ExampleSet
    package let augmentations: [Augmentation]
    private let maker: BatchMaker
    private let threads: Int
    private let ahead: Int
    private let state = Mutex(State())

    private struct State {
        var epoch = 0
        var planned: [[Int]] = []
        var taken = 0
        var prefetch: Prefetch<LoadedBatch>?
    }

    /// - Parameters:
    ///   - classCount: the width of probabilities; labels must be below.
    ///   - seed: of the augmentation.
    ///   - threads: that work ahead; 0 makes each batch when it is asked for.
    ///   - ahead: how many batches may be ready before they are asked for.
    /// - Throws: kind `.usage` for an augmentation that does not suit the examples.
    package init(
        _ examples: ExampleSet, augmentations: [Augmentation] = [], classCount: Int, seed: UInt64, threads: Int = 1,
        ahead: Int = 2
    ) throws {
        for augmentation in augmentations {
            try augmentation.check(shape: examples.shape)
            if case .jitter = augmentation, case .floats = examples.features {
                throw MLOpsError(
                    .usage, "augmentation `jitter` changes pictures of bytes, the examples are numbers of any scale",
                    hint: "save the pictures as bytes 0...255, or leave it out")
            }
        }
        precondition(threads >= 0 && ahead > 0, "\(threads) threads and \(ahead) batches ahead")
        precondition(examples.labels.allSatisfy { (0..<classCount).contains($0) }, "a label is no class")
        self.examples = examples
        self.augmentations = augmentations
        self.threads = threads
        self.ahead = ahead
        maker = BatchMaker(
            examples: examples, augmentations: augmentations, classCount: classCount,
            augmenter: Augmenter(augmentations, examples: examples, seed: seed))
    }

    package var count: Int { examples.count }

    /// Tells that `epoch` (from 1) will ask for exactly `batches`, in this order, so that they can be made ahead.
    package func begin(epoch: Int, batches: [[Int]]) {
        let prefetch =
            threads == 0
            ? nil
            : Prefetch(count: batches.count, threads: threads, ahead: ahead) { [maker] index in
                maker.make(batches[index], epoch: epoch)
            }
        state.withLock { $0 = State(epoch: epoch, planned: batches, taken: 0, prefetch: prefetch) }
    }

    /// The examples at `indices` as the epoch that was begun sees them; the one that was made ahead if it was planned.
    package func batch(_ indices: [Int]) throws -> LoadedBatch {
        let (epoch, prefetch) = state.withLock { state -> (Int, Prefetch<LoadedBatch>?) in
            guard state.taken < state.planned.count, state.planned[state.taken] == indices else {
                return (state.epoch, nil)
            }
            state.taken += 1
            return (state.epoch, state.prefetch)
        }
        return try prefetch?.next() ?? maker.make(indices, epoch: epoch)
    }
}

/// Makes one batch of examples. Apart from the loader, so that threads that work ahead do not keep it alive.
private struct BatchMaker: Sendable {
    let examples: ExampleSet
    let augmentations: [Augmentation]
    let classCount: Int
    let augmenter: Augmenter

    func make(_ indices: [Int], epoch: Int) -> LoadedBatch {
        guard !augmentations.isEmpty else {
            return LoadedBatch(inputs: examples.batch(at: indices), targets: examples.batchLabels(at: indices))
        }
        let size = examples.exampleSize
        var mixtures: [Augmenter.Mixture?] = []
        let inputs = Tensor(shape: [indices.count] + examples.shape, dtype: .f32) { target in
            let output = target.bindMemory(to: Float.self, capacity: indices.count * size)
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * size) { memory in
                let scratch = UnsafeMutableBufferPointer(rebasing: memory[..<size])
                let partner = UnsafeMutableBufferPointer(rebasing: memory[size...])
                for (row, index) in indices.enumerated() {
                    let example = UnsafeMutableBufferPointer(start: output + row * size, count: size)
                    mixtures.append(
                        augmenter.write(index, epoch: epoch, to: example, scratch: scratch, partner: partner))
                }
            }
        }
        guard augmentations.contains(where: \.mixesTargets) else {
            return LoadedBatch(inputs: inputs, targets: examples.batchLabels(at: indices))
        }
        return LoadedBatch(inputs: inputs, targets: probabilities(indices, mixtures))
    }

    private func probabilities(_ indices: [Int], _ mixtures: [Augmenter.Mixture?]) -> Tensor {
        var values = [Float](repeating: 0, count: indices.count * classCount)
        for (row, index) in indices.enumerated() {
            let share = mixtures[row]?.share ?? 1
            values[row * classCount + examples.labels[index]] += share
            if let mixture = mixtures[row] {
                values[row * classCount + examples.labels[mixture.partner]] += 1 - share
            }
        }
        return Tensor(values, shape: [indices.count, classCount])
    }
}

internal import Basics
public import Tensors

/// A loss: the mean over the batch of how wrong an output is.
public enum Loss: Sendable {
    /// Of logits `[N, classes]` and labels i64 `[N]`, in nats.
    case crossEntropy(labelSmoothing: Double = 0, classWeights: [Double]? = nil)
    /// Of logits and targets in 0 ... 1 of one shape (an i64 target is converted; `[N]` fits `[N, 1]`).
    case binaryCrossEntropy(positiveWeight: Double = 1)
    case meanSquaredError
    case absoluteError
    case huber(delta: Double = 1)

    /// The loss of a batch, a scalar.
    public func callAsFunction(_ output: Tensor, _ target: Tensor) throws -> Tensor {
        switch self {
        case .crossEntropy(let smoothing, let weights):
            let classWeights = try weights.map { try Tensor($0).cast(to: output.dtype) }
            return try output.crossEntropy(target.cast(to: .i64), classWeights: classWeights, labelSmoothing: smoothing)
        case .binaryCrossEntropy(let positiveWeight):
            return try output.binaryCrossEntropy(
                withTargets: Loss.aligned(target, with: output), positiveWeight: positiveWeight)
        case .meanSquaredError: return try output.meanSquaredError(Loss.aligned(target, with: output))
        case .absoluteError: return try output.absoluteError(Loss.aligned(target, with: output))
        case .huber(let delta): return try output.huberError(Loss.aligned(target, with: output), delta: delta)
        }
    }

    /// The target in the output's dtype; one value an example fits an output of `[N, 1]`.
    private static func aligned(_ target: Tensor, with output: Tensor) throws -> Tensor {
        let converted = try target.cast(to: output.dtype)
        guard output.rank == target.rank + 1, output.shape.last == 1, output.count == target.count else {
            return converted
        }
        return try converted.reshaped(output.shape)
    }
}

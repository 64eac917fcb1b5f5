internal import Basics
public import Tensors

/// A loss: how wrong outputs are. By default the mean over the batch.
public enum Loss: Sendable {
    /// Of logits `[N, classes]` and labels i64 `[N]`, in nats. Rows labelled `ignoredLabel` count for nothing. Targets may also be
    /// probabilities, floats `[N, classes]`.
    case crossEntropy(labelSmoothing: Double = 0, classWeights: [Double]? = nil, ignoredLabel: Int? = nil)
    /// Of log-probabilities `[N, classes]` and labels `[N]`.
    case negativeLogLikelihood(classWeights: [Double]? = nil, ignoredLabel: Int? = nil)
    /// Of logits and targets in 0 ... 1 of one shape (an i64 target is converted; `[N]` fits `[N, 1]`).
    case binaryCrossEntropy(positiveWeight: Double = 1)
    /// The same with a weight of the positive part for each output, the last axis.
    case weightedBinaryCrossEntropy(positiveWeights: [Double])
    /// Of probabilities and targets in 0 ... 1.
    case probabilityCrossEntropy
    /// Of logits and targets 0 or 1, with little weight of what is easy.
    case focal(focus: Double = 2, positiveShare: Double? = 0.25)
    case meanSquaredError
    case absoluteError
    case huber(delta: Double = 1)
    /// Huber's loss over `width`.
    case smoothAbsoluteError(width: Double = 1)
    /// Of scores and targets -1 or 1.
    case hinge(margin: Double = 1)
    /// Of distances and targets -1 or 1.
    case hingeEmbedding(margin: Double = 1)
    /// Of scores `[N, classes]` and labels `[N]`.
    case multiMargin(margin: Double = 1, isSquared: Bool = false, classWeights: [Double]? = nil)
    /// Of log-probabilities and probabilities, or logarithms of them; its mean is over the batch.
    case klDivergence(isLogarithm: Bool = false)

    /// The loss of a batch: a scalar, unless it is not reduced.
    public func callAsFunction(
        _ output: Tensor, _ target: Tensor, reduction: Reduction = .mean
    ) throws -> Tensor {
        func weights(_ values: [Double]?) throws -> Tensor? { try values.map { try Tensor($0).cast(to: output.dtype) } }
        switch self {
        case .crossEntropy(let smoothing, let classWeights, _) where target.dtype.isFloat && target.rank == 2:
            return try output.crossEntropy(
                probabilities: target, classWeights: weights(classWeights), labelSmoothing: smoothing,
                reduction: reduction)
        case .crossEntropy(let smoothing, let classWeights, let ignored):
            let labels = try target.cast(to: .i64)
            guard let ignored else {
                return try output.crossEntropy(
                    labels, classWeights: weights(classWeights), labelSmoothing: smoothing, reduction: reduction)
            }
            return try output.crossEntropy(
                labels, ignoredLabel: ignored, classWeights: weights(classWeights), labelSmoothing: smoothing,
                reduction: reduction)
        case .negativeLogLikelihood(let classWeights, let ignored):
            return try output.negativeLogLikelihood(
                target.cast(to: .i64), classWeights: weights(classWeights), ignoredLabel: ignored,
                reduction: reduction)
        case .multiMargin(let margin, let isSquared, let classWeights):
            return try output.multiMarginLoss(
                target.cast(to: .i64), margin: margin, isSquared: isSquared, classWeights: weights(classWeights),
                reduction: reduction)
        default: return try elementwise(output, Loss.aligned(target, with: output), reduction)
        }
    }

    /// The losses whose target is of the output's shape.
    private func elementwise(_ output: Tensor, _ target: Tensor, _ reduction: Reduction) throws -> Tensor {
        switch self {
        case .binaryCrossEntropy(let positiveWeight):
            return try output.binaryCrossEntropy(
                withTargets: target, positiveWeight: positiveWeight, reduction: reduction)
        case .weightedBinaryCrossEntropy(let positiveWeights):
            return try output.binaryCrossEntropy(
                withTargets: target, positiveWeights: Tensor(positiveWeights).cast(to: output.dtype),
                reduction: reduction)
        case .probabilityCrossEntropy:
            return try output.binaryCrossEntropy(ofProbabilitiesWithTargets: target, reduction: reduction)
        case .focal(let focus, let share):
            return try output.focalLoss(target, focus: focus, positiveShare: share, reduction: reduction)
        case .meanSquaredError: return try output.meanSquaredError(target, reduction: reduction)
        case .absoluteError: return try output.absoluteError(target, reduction: reduction)
        case .huber(let delta): return try output.huberError(target, delta: delta, reduction: reduction)
        case .smoothAbsoluteError(let width):
            return try output.smoothAbsoluteError(target, width: width, reduction: reduction)
        case .hinge(let margin): return try output.hingeLoss(target, margin: margin, reduction: reduction)
        case .hingeEmbedding(let margin):
            return try output.hingeEmbeddingLoss(target, margin: margin, reduction: reduction)
        case .klDivergence(let isLogarithm):
            return try output.klDivergence(target, isLogarithm: isLogarithm, reduction: reduction)
        case .crossEntropy, .negativeLogLikelihood, .multiMargin:
            preconditionFailure("\(self) has labels, not a target of the output's shape")
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

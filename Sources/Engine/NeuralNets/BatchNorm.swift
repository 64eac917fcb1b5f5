internal import Basics
public import Tensors

/// Normalisation of each channel over the batch (Ioffe & Szegedy, 2015): by the batch's own statistics in training, by running
/// ones in inference. PyTorch's conventions: biased variance to normalise, unbiased for the running one.
public class BatchNorm: Module {
    public let weight: Parameter
    public let bias: Parameter
    public let runningMean: Buffer
    public let runningVariance: Buffer
    /// How many batches the running statistics have seen.
    public let batchesSeen: Buffer
    public let epsilon: Double
    /// The share of a new batch in the running statistics.
    public let momentum: Double

    /// Axes that inputs may have.
    var ranks: ClosedRange<Int> { 2...4 }

    init(_ channels: Int, epsilon: Double, momentum: Double, dtype: DType) {
        precondition(channels > 0, "batch norm of \(channels) channels cannot be")
        weight = Parameter(.ones([channels], dtype: dtype))
        bias = Parameter(.zeros([channels], dtype: dtype))
        runningMean = Buffer(.zeros([channels], dtype: dtype))
        runningVariance = Buffer(.ones([channels], dtype: dtype))
        batchesSeen = Buffer(.zeros([], dtype: .i64))
        self.epsilon = epsilon
        self.momentum = momentum
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] { [("weight", weight), ("bias", bias)] }

    public override var ownBuffers: [(name: String, buffer: Buffer)] {
        [("running_mean", runningMean), ("running_var", runningVariance), ("num_batches_tracked", batchesSeen)]
    }

    public override func forward(_ x: Tensor) throws -> Tensor { try forward(x, adding: nil, activation: .none) }

    override var canFuse: Bool { true }

    override func forward(_ x: Tensor, adding residual: Tensor?, activation: FusedActivation) throws -> Tensor {
        guard ranks.contains(x.rank) else {
            throw MLOpsError(
                .failed,
                "`batchNorm`: shape \(x.shape) has \(x.rank) axes, \(kind) takes \(ranks.lowerBound) to \(ranks.upperBound)",
                hint: "use BatchNorm1d for [N, C] and [N, C, L], BatchNorm2d for [N, C, H, W]")
        }
        guard isTraining else {
            return try x.batchNorm(
                weight: weight.value, bias: bias.value, mean: runningMean.value, variance: runningVariance.value,
                epsilon: epsilon, adding: residual, activation: activation)
        }
        let result = try x.batchNorm(
            weight: weight.value, bias: bias.value, epsilon: epsilon, adding: residual, activation: activation)
        try withoutGradients {
            let size = Double(x.count / x.shape[1])
            runningMean.value = try runningMean.value * (1 - momentum) + result.mean * momentum
            runningVariance.value =
                try runningVariance.value * (1 - momentum) + result.variance * (momentum * size / (size - 1))
            batchesSeen.value = try batchesSeen.value + 1
        }
        return result.output
    }
}

/// Batch norm of features `[N, C]` or sequences `[N, C, L]`.
public final class BatchNorm1d: BatchNorm {
    override var ranks: ClosedRange<Int> { 2...3 }

    public init(channels: Int, epsilon: Double = 1e-5, momentum: Double = 0.1, dtype: DType = .f32) {
        super.init(channels, epsilon: epsilon, momentum: momentum, dtype: dtype)
    }
}

/// Batch norm of images `[N, C, H, W]`.
public final class BatchNorm2d: BatchNorm {
    override var ranks: ClosedRange<Int> { 4...4 }

    public init(channels: Int, epsilon: Double = 1e-5, momentum: Double = 0.1, dtype: DType = .f32) {
        super.init(channels, epsilon: epsilon, momentum: momentum, dtype: dtype)
    }
}

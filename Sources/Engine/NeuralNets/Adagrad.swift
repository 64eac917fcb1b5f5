internal import Tensors

/// Adagrad (Duchi et al., 2011), equal to torch.optim.Adagrad.
public final class Adagrad: GroupedOptimizer {
    /// The rate at step t is that of the first divided by 1 + (t - 1)·`rateDecay`.
    public let rateDecay: Double
    public let initialSum: Double
    public let epsilon: Double

    /// - Precondition: numbers are not negative.
    public init(
        _ parts: [some Optimizable], learningRate: Double = 1e-2, rateDecay: Double = 0, initialSum: Double = 0,
        epsilon: Double = 1e-10, weightDecay: Double = 0
    ) {
        precondition(
            rateDecay >= 0 && initialSum >= 0 && epsilon >= 0,
            "rate decay \(rateDecay), initial sum \(initialSum) and epsilon \(epsilon) must not be negative")
        self.rateDecay = rateDecay
        self.initialSum = initialSum
        self.epsilon = epsilon
        super.init(parts, learningRate: learningRate, weightDecay: weightDecay)
    }

    override var stateNames: [String] { ["squares"] }

    override func freshState(like gradient: Tensor) -> [Tensor] {
        [.full(initialSum, gradient.shape, dtype: gradient.dtype)]
    }

    override func settings(learningRate: Double, weightDecay: Double, step: Int) -> OptimizerStep {
        var settings = OptimizerStep(.adagrad, learningRate: learningRate / (1 + Double(step - 1) * rateDecay))
        settings.weightDecay = weightDecay
        settings.epsilon = epsilon
        return settings
    }
}

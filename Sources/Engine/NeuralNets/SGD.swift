internal import Tensors

/// Stochastic gradient descent, equal to torch.optim.SGD.
public final class SGD: GroupedOptimizer, MomentumOptimizer {
    /// Stays as it is while it is 0.
    public var momentum: Double {
        didSet { if !hasMomentum { momentum = 0 } }
    }
    public let dampening: Double
    public let isNesterov: Bool
    private let hasMomentum: Bool

    /// - Precondition: rates are not negative; Nesterov needs momentum and no dampening.
    public init(
        _ parts: [some Optimizable], learningRate: Double, momentum: Double = 0, dampening: Double = 0,
        isNesterov: Bool = false, weightDecay: Double = 0
    ) {
        precondition(momentum >= 0, "momentum \(momentum) must not be negative")
        precondition(!isNesterov || momentum > 0 && dampening == 0, "Nesterov needs momentum and no dampening")
        self.momentum = momentum
        self.dampening = dampening
        self.isNesterov = isNesterov
        hasMomentum = momentum > 0
        super.init(parts, learningRate: learningRate, weightDecay: weightDecay)
    }

    override var stateNames: [String] { hasMomentum ? ["velocity"] : [] }

    override func settings(learningRate: Double, weightDecay: Double, step: Int) -> OptimizerStep {
        var settings = OptimizerStep(.sgd, learningRate: learningRate)
        settings.weightDecay = weightDecay
        settings.momentum = momentum
        settings.dampening = dampening
        settings.isNesterov = isNesterov
        settings.isFirst = step == 1
        return settings
    }
}

internal import Tensors

/// RMSProp (Hinton, 2012; centered: Graves, 2013), equal to torch.optim.RMSprop.
public final class RMSProp: GroupedOptimizer, MomentumOptimizer {
    /// The share of the past in the mean of squares.
    public let smoothing: Double
    public let epsilon: Double
    /// Whether gradients are divided by their deviation rather than by their root mean square.
    public let isCentered: Bool
    /// Stays as it is while it is 0.
    public var momentum: Double {
        didSet { if !hasMomentum { momentum = 0 } }
    }
    private let hasMomentum: Bool

    /// - Precondition: numbers are not negative.
    public init(
        _ parts: [some Optimizable], learningRate: Double = 1e-2, smoothing: Double = 0.99, epsilon: Double = 1e-8,
        momentum: Double = 0, isCentered: Bool = false, weightDecay: Double = 0
    ) {
        precondition(
            smoothing >= 0 && epsilon >= 0 && momentum >= 0,
            "smoothing \(smoothing), epsilon \(epsilon) and momentum \(momentum) must not be negative")
        self.smoothing = smoothing
        self.epsilon = epsilon
        self.isCentered = isCentered
        self.momentum = momentum
        hasMomentum = momentum > 0
        super.init(parts, learningRate: learningRate, weightDecay: weightDecay)
    }

    override var stateNames: [String] {
        ["squares"] + (isCentered ? ["means"] : []) + (hasMomentum ? ["velocity"] : [])
    }

    override func settings(learningRate: Double, weightDecay: Double, step: Int) -> OptimizerStep {
        var settings = OptimizerStep(.rmsProp, learningRate: learningRate)
        settings.weightDecay = weightDecay
        settings.momentum = momentum
        settings.beta2 = smoothing
        settings.epsilon = epsilon
        settings.isCentered = isCentered
        return settings
    }
}

internal import Tensors

/// Adam (Kingma & Ba, 2015), equal to torch.optim.Adam; the decay is an L2 penalty in the gradient.
public final class Adam: AdamFamily {
    /// - Parameter isAMSGrad: whether steps are divided by the largest second moment so far (Reddi et al., 2018).
    public init(
        _ parts: [some Optimizable], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 0, isAMSGrad: Bool = false
    ) {
        super.init(parts, learningRate, betas, epsilon, weightDecay, isDecoupled: false, isAMSGrad: isAMSGrad)
    }
}

/// Adam with decoupled decay (Loshchilov & Hutter, 2019), equal to torch.optim.AdamW: values shrink by rate · decay, whatever
/// their gradients.
public final class AdamW: AdamFamily {
    /// - Parameter isAMSGrad: whether steps are divided by the largest second moment so far (Reddi et al., 2018).
    public init(
        _ parts: [some Optimizable], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 1e-2, isAMSGrad: Bool = false
    ) {
        super.init(parts, learningRate, betas, epsilon, weightDecay, isDecoupled: true, isAMSGrad: isAMSGrad)
    }
}

/// What Adam and AdamW share.
public class AdamFamily: GroupedOptimizer, MomentumOptimizer {
    /// The share of the past in the mean of gradients, and in the mean of their squares.
    public private(set) var betas: (Double, Double)
    public let epsilon: Double
    public let isAMSGrad: Bool
    private let isDecoupled: Bool

    /// The first beta.
    public var momentum: Double {
        get { betas.0 }
        set { betas.0 = newValue }
    }

    init(
        _ parts: [some Optimizable], _ learningRate: Double, _ betas: (Double, Double), _ epsilon: Double,
        _ weightDecay: Double, isDecoupled: Bool, isAMSGrad: Bool
    ) {
        precondition(
            epsilon >= 0 && (0..<1).contains(betas.0) && (0..<1).contains(betas.1),
            "epsilon \(epsilon) and betas \(betas) do not fit Adam")
        self.betas = betas
        self.epsilon = epsilon
        self.isAMSGrad = isAMSGrad
        self.isDecoupled = isDecoupled
        super.init(parts, learningRate: learningRate, weightDecay: weightDecay)
    }

    override var stateNames: [String] { ["first", "second"] + (isAMSGrad ? ["largest"] : []) }

    override func settings(learningRate: Double, weightDecay: Double, step: Int) -> OptimizerStep {
        var settings = OptimizerStep(.adam, learningRate: learningRate)
        settings.weightDecay = weightDecay
        settings.beta1 = betas.0
        settings.beta2 = betas.1
        settings.epsilon = epsilon
        settings.isDecoupled = isDecoupled
        settings.keepsMaximum = isAMSGrad
        settings.step = step
        return settings
    }
}

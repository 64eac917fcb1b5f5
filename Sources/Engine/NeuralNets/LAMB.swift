internal import Tensors

/// Adam whose step in each parameter is as long as that parameter, for large batches (You et al., 2020, algorithm 2, with
/// corrected moments and without a bound on the norm). The decay joins the direction.
public final class LAMB: GroupedOptimizer {
    public let betas: (Double, Double)
    public let epsilon: Double

    /// - Precondition: betas are in 0 ..< 1, the rest is not negative.
    public init(
        _ parts: [some Optimizable], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-6, weightDecay: Double = 1e-2
    ) {
        precondition(
            epsilon >= 0 && (0..<1).contains(betas.0) && (0..<1).contains(betas.1),
            "epsilon \(epsilon) and betas \(betas) do not fit LAMB")
        self.betas = betas
        self.epsilon = epsilon
        super.init(parts, learningRate: learningRate, weightDecay: weightDecay)
    }

    override var stateNames: [String] { ["first", "second"] }

    override func settings(learningRate: Double, weightDecay: Double, step: Int) -> OptimizerStep {
        var settings = OptimizerStep(.lamb, learningRate: learningRate)
        settings.weightDecay = weightDecay
        settings.beta1 = betas.0
        settings.beta2 = betas.1
        settings.epsilon = epsilon
        settings.step = step
        return settings
    }

    override func apply(_ updates: inout [ParameterUpdate]) throws {
        for index in updates.indices {
            updates[index].states.append(.zeros(updates[index].value.shape, dtype: updates[index].value.dtype))
        }
        ParameterUpdate.apply(&updates)
        let directions = updates.indices.map { updates[$0].states.removeLast() }
        let norms = Tensor.sumsOfSquares(updates.map(\.value)).map { $0.squareRoot() }
        let lengths = Tensor.sumsOfSquares(directions).map { $0.squareRoot() }
        let gradients = updates.map(\.gradient)
        for index in updates.indices {
            let trust = norms[index] > 0 && lengths[index] > 0 ? norms[index] / lengths[index] : 1
            updates[index].gradient = directions[index]
            updates[index].step = OptimizerStep(.descend, learningRate: updates[index].step.learningRate * trust)
        }
        ParameterUpdate.apply(&updates)
        for index in updates.indices { updates[index].gradient = gradients[index] }
    }
}

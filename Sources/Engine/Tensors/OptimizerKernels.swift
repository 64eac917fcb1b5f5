internal import CKernels

/// The numbers of one SGD step; see `Tensor.stepSGD`.
package struct SGDStep: Sendable {
    package var learningRate: Double
    package var weightDecay = 0.0
    package var momentum = 0.0
    package var dampening = 0.0
    package var isNesterov = false
    /// Whether the velocity starts as the gradient.
    package var isFirst = false

    package init(learningRate: Double) { self.learningRate = learningRate }
}

/// The numbers of one Adam step; see `Tensor.stepAdam`.
package struct AdamStep: Sendable {
    package var learningRate: Double
    package var weightDecay = 0.0
    package var beta1 = 0.9
    package var beta2 = 0.999
    package var epsilon = 1e-8
    /// Whether the decay acts on the value instead of the gradient (AdamW).
    package var isDecoupled = false
    /// From 1.
    package var step: Int

    package init(learningRate: Double, step: Int) {
        self.learningRate = learningRate
        self.step = step
    }
}

extension Tensor {
    /// One step of SGD in place (the formula of torch.optim.SGD).
    ///
    /// - Parameter velocity: the momentum buffer, changed in place; nil without momentum.
    package mutating func stepSGD(_ step: SGDStep, gradient: Tensor, velocity: inout Tensor?) {
        let settings = ck_sgd(
            learningRate: step.learningRate, weightDecay: step.weightDecay, momentum: step.momentum,
            dampening: step.dampening, isNesterov: step.isNesterov ? 1 : 0, isFirst: step.isFirst ? 1 : 0)
        let (dtype, count) = (dtype, count)
        let gradient = gradient.contiguous()
        withUnsafeMutableBytes { value in
            guard let value = value.baseAddress else { return }
            let velocity = velocity?.withUnsafeMutableBytes(\.baseAddress)
            inParallel(count, grain: elementwiseGrain) { part in
                let offset = part.lowerBound * dtype.size
                withUnsafePointer(to: settings) {
                    ck_sgd_step(
                        dtype.code, $0, part.count, gradient.pointer + offset, velocity.map { $0 + offset },
                        value + offset)
                }
            }
        }
    }

    /// One step of Adam or AdamW in place (the formulas of torch.optim).
    package mutating func stepAdam(_ step: AdamStep, gradient: Tensor, first: inout Tensor, second: inout Tensor) {
        let settings = ck_adam(
            learningRate: step.learningRate, weightDecay: step.weightDecay, beta1: step.beta1, beta2: step.beta2,
            epsilon: step.epsilon, isDecoupled: step.isDecoupled ? 1 : 0, step: Int64(step.step))
        let (dtype, count) = (dtype, count)
        let gradient = gradient.contiguous()
        withUnsafeMutableBytes { value in
            first.withUnsafeMutableBytes { first in
                second.withUnsafeMutableBytes { second in
                    guard let value = value.baseAddress, let first = first.baseAddress, let second = second.baseAddress
                    else { return }
                    inParallel(count, grain: elementwiseGrain) { part in
                        let offset = part.lowerBound * dtype.size
                        withUnsafePointer(to: settings) {
                            ck_adam_step(
                                dtype.code, $0, part.count, gradient.pointer + offset, first + offset, second + offset,
                                value + offset)
                        }
                    }
                }
            }
        }
    }
}

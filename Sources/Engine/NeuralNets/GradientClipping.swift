internal import Tensors

/// The L2 norm of all gradients together; scales them down to `norm` if it is larger (torch.nn.utils.clip_grad_norm_).
@discardableResult
public func clipGradients(of parameters: [Parameter], toNorm norm: Double) throws -> Double {
    precondition(norm > 0, "gradients cannot be clipped to norm \(norm)")
    let total = gradientNorm(of: parameters)
    let factor = norm / (total + 1e-6)
    if factor < 1 { scaleGradients(of: parameters, by: factor) }
    return total
}

/// Sets each value of the gradients that is beyond ±`limit` to that limit (torch.nn.utils.clip_grad_value_).
public func clipGradients(of parameters: [Parameter], toValue limit: Double) throws {
    precondition(limit > 0, "gradients cannot be clipped to ±\(limit)")
    try withoutGradients {
        for parameter in parameters {
            guard let gradient = parameter.gradient else { continue }
            parameter.gradient = try gradient.minimum(Tensor(limit, dtype: gradient.dtype))
                .maximum(Tensor(-limit, dtype: gradient.dtype))
        }
    }
}

/// The L2 norm of all gradients together.
public func gradientNorm(of parameters: [Parameter]) -> Double {
    Tensor.sumsOfSquares(parameters.compactMap(\.gradient)).reduce(0, +).squareRoot()
}

/// Multiplies all gradients by `factor`, in one pass over all of them.
func scaleGradients(of parameters: [Parameter], by factor: Double) {
    let step = OptimizerStep(.scale, learningRate: factor)
    let unread = Tensor.zeros([])
    let chosen = parameters.filter { $0.gradient != nil }
    var updates: [ParameterUpdate] = []
    for parameter in chosen {
        guard let gradient = parameter.gradient else { continue }
        parameter.gradient = nil
        updates.append(ParameterUpdate(value: gradient.detached, gradient: unread, step: step))
    }
    ParameterUpdate.apply(&updates)
    for (parameter, update) in zip(chosen, updates) { parameter.gradient = update.value }
}

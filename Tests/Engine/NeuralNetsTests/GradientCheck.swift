import Basics
import NeuralNets
import Tensors
import Testing

/// Gradients against central differences in f64.
enum GradientCheck {
    /// Gradients of a scalar function of `inputs`.
    static func compare(
        _ name: String, _ inputs: [Tensor], step h: Double = 1e-6, bound: Double = 1e-6,
        _ function: ([Tensor]) throws -> Tensor
    ) throws {
        let variables = try inputs.map { try $0.requiringGradient() }
        let gradients = try grad(of: function(variables), with: variables)
        for (position, gradient) in gradients.enumerated() {
            try compareSlopes("\(name), input \(position)", of: gradient, at: inputs[position], step: h, bound: bound) {
                var all = inputs
                all[position] = $0
                return try withoutGradients { try function(all).item() }
            }
        }
    }

    /// Gradients of a weighted sum of a layer's outputs for its input and its parameters, all in f64.
    static func compare(_ name: String, _ module: Module, at x: Tensor) throws {
        let parameters = module.parameters()
        var generator = Philox(seed: 5, stream: name)
        let weights = Tensor.normal(try module(x).shape, dtype: .f64, using: &generator)
        func output(_ x: Tensor) throws -> Tensor { try (module(x) * weights).sum() }
        try compare(name, [x]) { try output($0[0]) }
        guard !parameters.isEmpty else { return }
        let gradients = try grad(of: output(x), with: parameters.map(\.parameter.value))
        for ((path, parameter), gradient) in zip(parameters, gradients) {
            try compareSlopes("\(name), \(path)", of: gradient, at: parameter.value.detached) {
                try parameter.set($0)
                return try withoutGradients { try output(x).item() }
            }
        }
    }

    /// `gradient` against the slopes of `function` at `x`; `function` is called at `x` last.
    static func compareSlopes(
        _ name: String, of gradient: Tensor, at x: Tensor, step h: Double = 1e-6, bound: Double = 1e-6,
        _ function: (Tensor) throws -> Double
    ) throws {
        let values = x.doubles()
        for (index, found) in gradient.doubles().enumerated() {
            func value(_ step: Double) throws -> Double {
                var moved = values
                moved[index] += step
                return try function(Tensor(moved, shape: x.shape))
            }
            let expected = (try value(h) - value(-h)) / (2 * h)
            let error = abs(expected - found) / max(1, abs(expected), abs(found))
            #expect(error <= bound, "\(name), element \(index): \(found), slope \(expected)")
        }
        _ = try function(x)
    }
}

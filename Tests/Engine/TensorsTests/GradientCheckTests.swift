import Basics
import Tensors
import Testing

@Suite struct GradientCheckTests {
    @Test(arguments: DifferentiableCase.all)
    func theGradientIsTheSlope(_ one: DifferentiableCase) throws {
        try check(one.inputs()) { variables in
            let output = try one.function(variables)
            return try (output * weights(output.shape, "first " + one.description)).sum()
        }
    }

    @Test(arguments: DifferentiableCase.all)
    func theGradientOfTheGradientIsItsSlope(_ one: DifferentiableCase) throws {
        try check(one.inputs()) { variables in
            let variables = try variables.map { $0.requiresGradient ? $0 : try $0.requiringGradient() }
            let output = try one.function(variables)
            let first = try grad(
                of: output, with: variables, seed: weights(output.shape, "second " + one.description), createGraph: true
            )
            // Zero times each input joins those that the gradient does not depend on.
            return try zip(first, variables).enumerated().reduce(Tensor(0, dtype: .f64)) { total, part in
                let (index, (gradient, variable)) = part
                let weighted = try gradient * weights(gradient.shape, "\(one.description) \(index)")
                return try total + weighted.sum() + variable.sum() * 0
            }
        }
    }

    @Test func theFusedBackwardAgreesWithTheRecordedOne() throws {
        for one in DifferentiableCase.all {
            let variables = try one.inputs().map { try $0.requiringGradient() }
            let output = try one.function(variables)
            let seed = weights(output.shape, "seed")
            let fused = try grad(of: output, with: variables, seed: seed)
            let recorded = try grad(of: output, with: variables, seed: seed, createGraph: true)
            for (left, right) in zip(fused, recorded) {
                #expect(largestDifference(left, right) < 1e-12, "\(one.description)")
            }
        }
    }

    private func weights(_ shape: [Int], _ stream: String) -> Tensor {
        var generator = Philox(seed: 11, stream: stream)
        return .normal(shape, dtype: .f64, using: &generator)
    }

    /// Compares the gradients of a scalar function with central differences.
    private func check(_ inputs: [Tensor], _ function: ([Tensor]) throws -> Tensor) throws {
        let variables = try inputs.map { try $0.requiringGradient() }
        let gradients = try grad(of: function(variables), with: variables)
        let h = 1e-5
        for (position, gradient) in gradients.enumerated() {
            let values = inputs[position].doubles()
            for (index, found) in gradient.doubles().enumerated() {
                func value(_ step: Double) throws -> Double {
                    var moved = values
                    moved[index] += step
                    var all = inputs
                    all[position] = Tensor(moved, shape: inputs[position].shape)
                    return try function(all).item()
                }
                let expected = (try value(h) - value(-h)) / (2 * h)
                let error = abs(expected - found) / max(1, abs(expected), abs(found))
                #expect(error <= 1e-6, "input \(position), element \(index): \(found), slope \(expected)")
            }
        }
    }
}

/// The largest difference of two elements at the same place, relative to 1 or the larger of them.
func largestDifference(_ left: Tensor, _ right: Tensor) -> Double {
    guard left.shape == right.shape else { return .infinity }
    return zip(left.doubles(), right.doubles()).reduce(0) { worst, pair in
        let difference = abs(pair.0 - pair.1) / max(1, abs(pair.0), abs(pair.1))
        return difference.isNaN ? .infinity : max(worst, difference)
    }
}

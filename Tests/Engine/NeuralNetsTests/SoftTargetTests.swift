import Basics
import NeuralNets
import Tensors
import Testing

/// Cross-entropy against probabilities, beside PyTorch's (Tests/Fixtures/neuralnets/make_soft_targets.py).
@Suite struct SoftTargetTests {
    private struct Fixture: Decodable {
        struct Case: Decodable {
            var isWeighted: Bool
            var smoothing: Double
            var reduction: String
            var y: Double
            var gradient: [Double]
        }
        var logits: [Double]
        var targets: [Double]
        var weights: [Double]
        var cases: [Case]
    }

    @Test func valuesAndGradientsAreThoseOfPyTorch() throws {
        let fixture: Fixture = try Fixtures.load("soft_targets.json")
        let targets = Tensor(fixture.targets, shape: [6, 5])
        for expected in fixture.cases {
            let loss = Loss.crossEntropy(
                labelSmoothing: expected.smoothing, classWeights: expected.isWeighted ? fixture.weights : nil)
            let logits = try Tensor(fixture.logits, shape: [6, 5]).requiringGradient()
            let y = try loss(logits, targets, reduction: try #require(Reduction(rawValue: expected.reduction)))
            #expect(abs(try y.item() - expected.y) < 1e-12 * max(1, abs(expected.y)))
            let gradient = try grad(of: y, with: [logits])[0].doubles()
            for (a, b) in zip(gradient, expected.gradient) { #expect(abs(a - b) < 1e-12) }
        }
    }

    @Test func oneHotProbabilitiesAreLabels() throws {
        let logits = Tensor([0.5, -1, 2, 0.25, 3, -2] as [Float], shape: [2, 3])
        let hard = try Loss.crossEntropy()(logits, Tensor([2, 0] as [Int64])).item()
        let soft = try Loss.crossEntropy()(logits, Tensor([0, 0, 1, 1, 0, 0] as [Float], shape: [2, 3])).item()
        #expect(abs(hard - soft) < 1e-6)
        #expect(try Metric.accuracy.sum(logits, Tensor([0.1, 0.2, 0.7, 1, 0, 0] as [Float], shape: [2, 3])) == 1)
        let error = try #require(throws: MLOpsError.self) {
            try Loss.crossEntropy()(logits, Tensor([1, 0, 0, 1] as [Float], shape: [2, 2]))
        }
        #expect(error.message.contains("`crossEntropy`: shapes [2, 3] and [2, 2]"))
    }
}

import Basics
import NeuralNets
import Tensors
import Testing

/// Values and gradients of PyTorch's losses, made by Tests/Fixtures/neuralnets/make_layers.py.
struct LossFixture: Decodable {
    struct Outcome: Decodable {
        var y: Fixtures.Values
        var gradient: Fixtures.Values
    }
    struct Case: Decodable {
        var x: Fixtures.Values
        var target: Fixtures.Values
        var upstream: Fixtures.Values
        var reductions: [String: Outcome]
    }
    var cases: [String: Case]
}

@Suite struct LossTests {
    private static let weights = [0.5, 1.0, 2.0, 0.25, 1.5]
    private static let losses: [String: Loss] = [
        "crossEntropy": .crossEntropy(),
        "crossEntropyAll": .crossEntropy(labelSmoothing: 0.2, classWeights: weights, ignoredLabel: 2),
        "crossEntropyNegativeIgnored": .crossEntropy(ignoredLabel: -100),
        "crossEntropySoft": .crossEntropy(),
        "crossEntropySoftAll": .crossEntropy(labelSmoothing: 0.1, classWeights: weights),
        "nll": .negativeLogLikelihood(),
        "nllAll": .negativeLogLikelihood(classWeights: weights, ignoredLabel: 2),
        "bceWithLogits": .binaryCrossEntropy(),
        "bceWithLogitsWeight": .binaryCrossEntropy(positiveWeight: 2.5),
        "bceWithLogitsWeights": .weightedBinaryCrossEntropy(positiveWeights: weights),
        "bce": .probabilityCrossEntropy,
        "focal": .focal(),
        "focalPlain": .focal(focus: 0.5, positiveShare: nil),
        "mse": .meanSquaredError,
        "l1": .absoluteError,
        "huber": .huber(delta: 0.7),
        "smoothL1": .smoothAbsoluteError(width: 2),
        "hinge": .hinge(),
        "hingeEmbedding": .hingeEmbedding(margin: 0.8),
        "multiMargin": .multiMargin(),
        "multiMarginAll": .multiMargin(margin: 0.5, isSquared: true, classWeights: weights),
        "kl": .klDivergence(),
        "klLogarithm": .klDivergence(isLogarithm: true),
    ]

    @Test func everyLossGivesTheValuesAndGradientsOfPyTorchInEveryReduction() throws {
        let fixture: LossFixture = try Fixtures.load("losses.json")
        #expect(Set(fixture.cases.keys) == Set(LossTests.losses.keys))
        for (name, expected) in fixture.cases.sorted(by: { $0.key < $1.key }) {
            let loss = try #require(LossTests.losses[name])
            for (reduction, outcome) in expected.reductions {
                let x = try expected.x.tensor.requiringGradient()
                let y = try loss(x, expected.target.tensor, reduction: try #require(Reduction(rawValue: reduction)))
                #expect(Fixtures.relativeDifference(y, outcome.y.tensor) <= 1e-5, "\(name), \(reduction)")
                let seed = reduction == "none" ? expected.upstream.tensor : nil
                let gradient = try grad(of: y, with: [x], seed: seed)[0]
                #expect(
                    Fixtures.relativeDifference(gradient, outcome.gradient.tensor) <= 1e-5,
                    "gradient of \(name), \(reduction)")
            }
        }
    }

    @Test func theGradientOfEveryLossIsTheSlope() throws {
        let fixture: LossFixture = try Fixtures.load("losses.json")
        for (name, loss) in LossTests.losses.sorted(by: { $0.key < $1.key }) {
            let expected = try #require(fixture.cases[name])
            // Away from 0 and 1, where probabilities have no slope.
            let x =
                name == "bce"
                ? try expected.x.tensor.scaled(by: 0.8).shifted(by: 0.1) : expected.x.tensor
            try GradientCheck.compare(name, [x.cast(to: .f64)]) {
                try loss($0[0], expected.target.tensor.cast(to: .f64))
            }
        }
    }

    @Test func lossesRefuseWhatTheyCannotTake() throws {
        let logits = Tensor.zeros([2, 3])
        let cases: [(Loss, Tensor, Tensor, String)] = [
            (.crossEntropy(), logits, Tensor([0, 3] as [Int64]), "index 3 at position 1 is not in 0 ..< 3"),
            (.crossEntropy(ignoredLabel: 1), logits, Tensor([1, 1] as [Int64]), "all 2 labels are 1"),
            (.negativeLogLikelihood(), logits, Tensor([0, -1] as [Int64]), "index -1 at position 1"),
            (.negativeLogLikelihood(), logits, Tensor([0] as [Int64]), "[2, 3] and [1]"),
            (.multiMargin(), logits, Tensor([0, 7] as [Int64]), "index 7 at position 1"),
            (.hinge(), logits, .zeros([2, 3]), "target 0.0 is neither -1 nor 1"),
            (.probabilityCrossEntropy, .full(1.5, [2]), .zeros([2]), "not all in 0 ... 1"),
            (.focal(focus: -1), logits, .zeros([2, 3]), "focus -1.0 must not be negative"),
            (.klDivergence(), logits, .zeros([3, 2]), "[2, 3] and [3, 2]"),
        ]
        for (loss, output, target, part) in cases {
            let error = #expect(throws: MLOpsError.self) { try loss(output, target) }
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        }
    }
}

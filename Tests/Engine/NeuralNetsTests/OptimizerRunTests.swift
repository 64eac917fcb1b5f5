import Basics
import NeuralNets
import Tensors
import Testing

/// Fifty steps of torch.optim, and rates of its schedules, made by Tests/Fixtures/neuralnets/make_optimizers.py.
struct OptimizerRunFixture: Decodable {
    var x: Fixtures.Values
    var y: Fixtures.Values
    var start: [String: Fixtures.Values]
    var runs: [String: [String: Fixtures.Values]]
}

@Suite struct OptimizerRunTests {
    /// The network of the fixture: tanh(x·w1 + b)·w2.
    private struct Network {
        let fixture: OptimizerRunFixture
        let w1: Parameter
        let b: Parameter
        let w2: Parameter

        init() throws {
            fixture = try Fixtures.load("optimizer_runs.json")
            w1 = Parameter(try #require(fixture.start["w1"]).tensor)
            b = Parameter(try #require(fixture.start["b"]).tensor)
            w2 = Parameter(try #require(fixture.start["w2"]).tensor)
        }

        var parameters: [Parameter] { [w1, b, w2] }

        func step(_ optimizer: any Optimizer) throws {
            let hidden = try (fixture.x.tensor.matmul(w1.value) + b.value).tanh()
            let loss = try hidden.matmul(w2.value).meanSquaredError(fixture.y.tensor)
            for (parameter, gradient) in zip(parameters, try grad(of: loss, with: parameters.map(\.value))) {
                parameter.gradient = gradient
            }
            try optimizer.step()
        }
    }

    private static let makers: [String: @Sendable ([Parameter]) -> any Optimizer] = [
        "sgd": { SGD($0, learningRate: 0.1) },
        "momentum": { SGD($0, learningRate: 0.05, momentum: 0.9, weightDecay: 0.01) },
        "dampened": { SGD($0, learningRate: 0.1, momentum: 0.9, dampening: 0.3) },
        "nesterov": { SGD($0, learningRate: 0.05, momentum: 0.9, isNesterov: true) },
        "adagrad": { Adagrad($0, learningRate: 0.1) },
        "adagradDecay": {
            Adagrad($0, learningRate: 0.2, rateDecay: 0.03, initialSum: 0.1, weightDecay: 0.01)
        },
        "rmsprop": { RMSProp($0, learningRate: 0.01) },
        "rmspropMomentum": {
            RMSProp($0, learningRate: 0.002, smoothing: 0.95, momentum: 0.8, weightDecay: 0.01)
        },
        "rmspropCentered": {
            RMSProp($0, learningRate: 0.01, smoothing: 0.95, epsilon: 1e-4, isCentered: true)
        },
        "rmspropAll": {
            RMSProp($0, learningRate: 0.005, smoothing: 0.95, epsilon: 1e-4, momentum: 0.5, isCentered: true)
        },
        "adam": { Adam($0, learningRate: 0.02) },
        "adamDecay": { Adam($0, learningRate: 0.02, betas: (0.8, 0.99), epsilon: 1e-6, weightDecay: 0.1) },
        "adamAMSGrad": {
            Adam($0, learningRate: 0.05, betas: (0.5, 0.7), weightDecay: 0.01, isAMSGrad: true)
        },
        "adamw": { AdamW($0, learningRate: 0.02, weightDecay: 0.05) },
        "adamwAMSGrad": { AdamW($0, learningRate: 0.05, betas: (0.5, 0.7), isAMSGrad: true) },
        "lamb": { LAMB($0, learningRate: 0.02) },
        "groupsAdamW": { AdamW(groups($0, bias: 0.25), learningRate: 0.02, weightDecay: 0.3) },
        "groupsSGD": { SGD(groups($0, bias: 0.25), learningRate: 0.1, momentum: 0.9, weightDecay: 0.02) },
    ]

    private static func groups(_ parameters: [Parameter], bias rateFactor: Double) -> [ParameterGroup] {
        [
            ParameterGroup([parameters[0], parameters[2]]),
            ParameterGroup([parameters[1]], rateFactor: rateFactor, weightDecay: 0),
        ]
    }

    @Test(arguments: makers.keys.sorted())
    func fiftyStepsEqualPyTorch(_ name: String) throws {
        let network = try Network()
        #expect(Set(network.fixture.runs.keys) == Set(OptimizerRunTests.makers.keys))
        let make = try #require(OptimizerRunTests.makers[name])
        let optimizer = make(network.parameters)
        for _ in 0..<50 { try network.step(optimizer) }
        let expected = try #require(network.fixture.runs[name])
        for (key, parameter) in zip(["w1", "b", "w2"], network.parameters) {
            let difference = Fixtures.difference(parameter.value, try #require(expected[key]).tensor)
            #expect(difference <= 1e-6, "\(key)")
        }
    }

    @Test(arguments: makers.keys.sorted())
    func aRestoredOptimizerContinuesBitForBit(_ name: String) throws {
        let make = try #require(OptimizerRunTests.makers[name])
        let (whole, resumed) = (try Network(), try Network())
        let (first, second) = (make(whole.parameters), make(resumed.parameters))
        for _ in 0..<5 { try whole.step(first) }
        for (one, other) in zip(whole.parameters, resumed.parameters) { try other.set(one.value) }
        try second.load(first.state())
        for _ in 0..<5 {
            try whole.step(first)
            try resumed.step(second)
        }
        for (one, other) in zip(whole.parameters, resumed.parameters) {
            #expect(one.value.isIdentical(to: other.value))
        }
    }

    @Test func aWrongStateIsRefusedWithEveryFault() throws {
        let network = try Network()
        let optimizer = Adam(network.parameters)
        try network.step(optimizer)
        let before = optimizer.state()
        var state = before
        state["first.0"] = nil
        state["second.2"] = .zeros([7])
        state["largest.1"] = .zeros([4])
        let error = #expect(throws: MLOpsError.self) { try optimizer.load(state) }
        let message = error?.message ?? ""
        for part in [
            "Adam of 3 parameters, 3 faults", "missing `first.0` [5, 4]", "`second.2` is f32 [7], expected f32 [4, 3]",
            "extra `largest.1` [4]",
        ] { #expect(message.contains(part), "\(message)") }
        #expect(before.allSatisfy { optimizer.state()[$0]?.isIdentical(to: $1) ?? false })
    }

    /// Hundreds of small parameters and one of many pieces: whatever bundle a value is in, its step is the same.
    @Test func bundledStepsEqualSingleOnes() throws {
        var generator = Philox(seed: 3)
        let shapes = (0..<60).map { [1 + $0 % 7, 1 + $0 % 13] } + [[70_001]] + (0..<5).map { [$0] }
        let start = shapes.map { Tensor.normal($0, using: &generator) }
        let gradients = shapes.map { Tensor.normal($0, using: &generator) }
        let together = start.map { Parameter($0) }
        let alone = start.map { Parameter($0) }
        for (index, gradient) in gradients.enumerated() {
            together[index].gradient = gradient
            alone[index].gradient = gradient
        }
        let optimizer = LAMB(together)
        let others = alone.map { LAMB([$0]) }
        for _ in 0..<3 {
            try optimizer.step()
            for other in others { try other.step() }
        }
        for (one, other) in zip(together, alone) { #expect(one.value.isIdentical(to: other.value)) }
        let norm = gradientNorm(of: together)
        let expected = gradients.reduce(0) { $0 + $1.doubles().reduce(0) { $0 + $1 * $1 } }.squareRoot()
        #expect(abs(norm / expected - 1) < 1e-12)
        try clipGradients(of: together, toNorm: 1)
        #expect(abs(gradientNorm(of: together) - 1) < 1e-4)
    }

    @Test func clippingByValueCutsBothSides() throws {
        let parameter = Parameter(.zeros([4]))
        parameter.gradient = Tensor([-3, -0.5, 0.25, 8] as [Float])
        try clipGradients(of: [parameter], toValue: 0.5)
        #expect(parameter.gradient?.floats() == [-0.5, -0.5, 0.25, 0.5])
    }
}

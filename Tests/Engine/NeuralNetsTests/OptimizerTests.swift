import NeuralNets
import Tensors
import Testing

@Suite struct OptimizerTests {
    private static let makers: [String: @Sendable (Parameter) -> any Optimizer] = [
        "sgd": { SGD([$0], learningRate: 0.1) },
        "momentum": { SGD([$0], learningRate: 0.1, momentum: 0.9) },
        "dampened": { SGD([$0], learningRate: 0.1, momentum: 0.9, dampening: 0.3, weightDecay: 0.01) },
        "nesterov": { SGD([$0], learningRate: 0.1, momentum: 0.9, isNesterov: true, weightDecay: 0.01) },
        "adam": { Adam([$0], learningRate: 0.01) },
        "adamDecay": { Adam([$0], learningRate: 0.02, betas: (0.8, 0.99), epsilon: 1e-6, weightDecay: 0.1) },
        "adamw": { AdamW([$0], learningRate: 0.01, weightDecay: 0.05) },
    ]

    private func step(_ weight: Parameter, _ optimizer: any Optimizer, _ fixture: Fixtures.Optimizers) throws {
        let loss = try fixture.x.tensor.matmul(weight.value).tanh().meanSquaredError(fixture.y.tensor)
        weight.gradient = try grad(of: loss, with: [weight.value])[0]
        try optimizer.step()
    }

    @Test(arguments: makers.keys.sorted())
    func fiftyStepsEqualPyTorch(_ name: String) throws {
        let fixture: Fixtures.Optimizers = try Fixtures.load("optimizers.json")
        let weight = Parameter(fixture.w.tensor)
        let make = try #require(OptimizerTests.makers[name])
        let optimizer = make(weight)
        for _ in 0..<50 { try step(weight, optimizer, fixture) }
        #expect(Fixtures.difference(weight.value, try #require(fixture.after50[name]).tensor) <= 1e-6)
    }

    @Test(arguments: makers.keys.sorted())
    func aRestoredOptimizerContinuesBitForBit(_ name: String) throws {
        let fixture: Fixtures.Optimizers = try Fixtures.load("optimizers.json")
        let make = try #require(OptimizerTests.makers[name])
        let whole = Parameter(fixture.w.tensor)
        let optimizer = make(whole)
        for _ in 0..<5 { try step(whole, optimizer, fixture) }
        let resumed = Parameter(whole.value.detached)
        let second = make(resumed)
        try second.load(optimizer.state())
        for _ in 0..<5 {
            try step(whole, optimizer, fixture)
            try step(resumed, second, fixture)
        }
        #expect(whole.value.isIdentical(to: resumed.value))
    }

    @Test func schedulesGiveTheRatesOfPyTorch() throws {
        let fixture: Fixtures.Optimizers = try Fixtures.load("optimizers.json")
        let schedules = [
            "step": Schedule.step(interval: 4, factor: 0.5), "cosine": .cosine(steps: 12, floor: 0.05),
        ]
        for (name, schedule) in schedules {
            for (step, rate) in try #require(fixture.schedules[name]).enumerated() {
                #expect(abs(schedule.factor(at: step) - rate) < 1e-12, "\(name) at \(step)")
            }
        }
        let warm = Schedule.warmUp(steps: 4, then: .cosine(steps: 10))
        #expect((0..<6).map { warm.factor(at: $0) }[..<5] == [0.25, 0.5, 0.75, 1, 1])
        #expect(warm.factor(at: 5) < 1 && warm.factor(at: 14) < 1e-12)
    }

    @Test func clippingScalesAllGradientsTogether() throws {
        let parameters = [Parameter(.zeros([2])), Parameter(.zeros([1]))]
        parameters[0].gradient = Tensor([3, 0] as [Float])
        parameters[1].gradient = Tensor([4] as [Float])
        #expect(try clipGradients(of: parameters, toNorm: 1) == 5)
        #expect(abs((parameters[1].gradient?.floats()[0] ?? 0) - 0.8) < 1e-6)
        #expect(try clipGradients(of: parameters, toNorm: 10) < 1.001)
        #expect(abs((parameters[0].gradient?.floats()[0] ?? 0) - 0.6) < 1e-6)
    }

    @Test func aFrozenParameterStays() throws {
        let parameter = Parameter(.ones([2]))
        parameter.isFrozen = true
        parameter.gradient = .ones([2])
        try SGD([parameter], learningRate: 1, weightDecay: 1).step()
        #expect(parameter.value.floats() == [1, 1])
        #expect(!parameter.value.requiresGradient)
    }
}

import Basics
import NeuralNets
import Tensors
import Testing

@Suite struct ModuleTests {
    private func network(_ seed: UInt64 = 1) -> Sequential {
        var generator = Philox(seed: seed)
        return Sequential(named: [
            ("conv", Conv2d(1, 4, kernel: 3, using: &generator)), ("norm", BatchNorm2d(channels: 4)), ("act", ReLU()),
            ("pool", MaxPool2d(kernel: 2)), ("flat", Flatten()),
            (
                "head",
                Sequential([Linear(36, 8, using: &generator), Tanh(), Dropout(0.5), Linear(8, 3, using: &generator)])
            ),
        ])
    }

    @Test func parametersAndBuffersAreNamedByTheirPaths() {
        let network = network()
        #expect(
            network.parameters().map(\.path) == [
                "conv.weight", "conv.bias", "norm.weight", "norm.bias", "head.0.weight", "head.0.bias", "head.3.weight",
                "head.3.bias",
            ])
        #expect(
            network.buffers().map(\.path) == [
                "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
            ])
        #expect(network.parameterCount == 40 + 8 + 296 + 27)
    }

    @Test func aStateLoadsIntoAnotherNetwork() throws {
        let (one, two) = (network(1), network(2))
        let x = Tensor.ones([2, 1, 8, 8])
        try two.load(one.state())
        #expect(try one.inferring { try one(x) }.isIdentical(to: two.inferring { try two(x) }))
    }

    @Test func aWrongStateIsRefusedWithEveryFaultAndChangesNothing() throws {
        let network = network()
        let before = network.state()
        var state = before
        state["conv.bias"] = nil
        state["head.3.weight"] = .zeros([4, 8])
        state["norm.weight"] = .zeros([4], dtype: .f64)
        state["tail.weight"] = .zeros([1])
        let error = #expect(throws: MLOpsError.self) { try network.load(state) }
        let message = error?.message ?? ""
        for part in [
            "4 faults", "missing `conv.bias` [4]", "`head.3.weight` has shape [4, 8], expected [3, 8]",
            "`norm.weight` is of f64, expected f32", "extra `tail.weight` [1]",
        ] { #expect(message.contains(part), "\(message)") }
        #expect(before.allSatisfy { network.state()[$0]?.isIdentical(to: $1) ?? false })
    }

    @Test func aSharedModuleIsListedOnce() {
        var generator = Philox(seed: 1)
        let shared = Linear(4, 4, using: &generator)
        #expect(Sequential([shared, ReLU(), shared]).parameters().count == 2)
    }

    @Test func anErrorNamesTheLayer() {
        let network = network()
        network.assignPaths()
        let error = #expect(throws: MLOpsError.self) { try network(.zeros([2, 1, 9, 12])) }
        #expect(
            error?.message
                == "layer `head.0` (Linear): `linear`: shapes [2, 60] and [8, 36] do not fit: the last extent must be 36"
        )
    }

    @Test func dropoutFollowsItsSeedAndIsSilentInInference() throws {
        let layer = Dropout(0.25)
        let x = Tensor.ones([10_000])
        layer.seedRandomness(3)
        let first = try layer(x)
        layer.seedRandomness(3)
        #expect(try layer(x).isIdentical(to: first))
        #expect(try !layer(x).isIdentical(to: first))
        let kept = first.floats().count { $0 != 0 }
        #expect(abs(kept - 7500) < 200)
        #expect(first.floats().allSatisfy { $0 == 0 || abs($0 - 4 / 3) < 1e-6 })
        #expect(try layer.inferring { try layer(x) }.isIdentical(to: x))
    }

    @Test func initializersHaveTheSpreadOfPyTorch() {
        var generator = Philox(seed: 4)
        let shape = [64, 32, 3, 3]  // fan-in 288, fan-out 576
        let expected: [(Initializer, Double)] = [
            (.standard, 1 / 288.0.squareRoot() / 3.0.squareRoot()), (.kaimingUniform(), (2 / 288.0).squareRoot()),
            (.kaimingNormal(), (2 / 288.0).squareRoot()), (.xavierUniform(), (2 / 864.0).squareRoot()),
            (.xavierNormal(gain: 2), 2 * (2 / 864.0).squareRoot()), (.normal(deviation: 0.3), 0.3),
        ]
        for (initializer, deviation) in expected {
            let values = initializer(shape, using: &generator).doubles()
            let measured = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
            #expect(abs(measured / deviation - 1) < 0.02, "\(initializer)")
        }
    }

    @Test func runningStatisticsFollowTheBatches() throws {
        let layer = BatchNorm1d(channels: 2)
        let x = Tensor([1, 2, 3, 6] as [Float], shape: [2, 2])
        _ = try layer(x)
        // 0.9 · 0 + 0.1 · mean; 0.9 · 1 + 0.1 · unbiased variance
        #expect(layer.runningMean.value.floats() == [0.2, 0.4])
        #expect(zip(layer.runningVariance.value.floats(), [1.1, 1.7]).allSatisfy { abs($0 - $1) < 1e-6 })
        #expect(layer.batchesSeen.value.int64s() == [1])
        #expect(throws: MLOpsError.self) { try layer(.zeros([1, 2])) }
        #expect(throws: MLOpsError.self) { try layer(.zeros([2, 2, 2, 2])) }
    }
}

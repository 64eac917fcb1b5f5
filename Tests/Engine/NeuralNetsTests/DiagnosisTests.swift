import Basics
import NeuralNets
import Tensors
import Testing

@Suite(.serialized) struct DiagnosisTests {
    @Test func deadAndSaturatedUnitsAreCounted() throws {
        var generator = Philox(seed: 1)
        let first = Linear(3, 4, initializer: .zeros, using: &generator)
        try first.bias?.set(Tensor([-1, 1, -2, 0.5] as [Float]))
        let second = Linear(4, 2, initializer: .zeros, using: &generator)
        try second.bias?.set(Tensor([5, 0.1] as [Float]))
        let network = Sequential(named: [("in", first), ("relu", ReLU()), ("mid", second), ("tanh", Tanh())])
        let diagnosis = Diagnosis()
        try diagnosis.probe(network, .ones([8, 3]))
        #expect(diagnosis.activations.map(\.path) == ["relu", "tanh"])
        #expect(diagnosis.activations.map(\.units) == [4, 2])
        #expect(diagnosis.activations.map(\.deadUnits) == [2, 0])
        #expect(diagnosis.activations.map(\.saturatedShare) == [0.5, 0.5])
        #expect(abs(diagnosis.activations[0].mean - 0.375) < 1e-6)
        #expect(network.isTraining)
    }

    @Test func gradientNormsAndUpdateRatiosAreThoseOfTheSteps() throws {
        var generator = Philox(seed: 1)
        let layer = Linear(3, 2, hasBias: false, using: &generator)
        let network = Sequential(named: [("only", layer)])
        let x = Tensor.normal([10, 3], using: &generator)
        let source = try TensorSource(inputs: x, targets: .zeros([10, 2]))
        let start = layer.weight.value
        let gradient = try grad(of: layer(x).square().mean(), with: [start])[0]
        let trainer = try Trainer(
            network, optimizer: SGD([layer.weight], learningRate: 0.1), loss: .meanSquaredError,
            configuration: TrainerConfiguration(epochs: 5, batchSize: 10))
        let diagnosis = Diagnosis(every: 2)
        _ = try trainer.fit(source, callbacks: [diagnosis])
        #expect(diagnosis.steps.map(\.step) == [1, 3, 5])
        let one = try #require(diagnosis.steps.first?.layers.first)
        #expect(one.path == "only")
        let norm = try gradient.sumOfSquares().squareRoot()
        let weight = try start.detached.sumOfSquares().squareRoot()
        #expect(abs(one.gradientNorm / norm - 1) < 1e-5)
        #expect(abs(one.weightNorm / weight - 1) < 1e-6)
        #expect(abs(one.updateRatio / (0.1 * norm / weight) - 1) < 1e-4)
    }

    @Test func aProfileTellsOfEveryOperationWithItsLayer() throws {
        var generator = Philox(seed: 1)
        let network = Sequential(named: [
            ("profiled", Conv2d(1, 2, kernel: 3, using: &generator)), ("act", Tanh()), ("flat", Flatten()),
            ("head", Linear(72, 3, using: &generator)),
        ])
        network.assignPaths()
        let optimizer = AdamW(network.parameters().map(\.parameter))
        let x = Tensor.normal([4, 1, 8, 8], using: &generator)
        func step() throws {
            let loss = try Loss.crossEntropy()(network(x), Tensor([0, 1, 2, 0] as [Int64]))
            let gradients = try grad(of: loss, with: optimizer.parameters.map(\.value))
            for (parameter, gradient) in zip(optimizer.parameters, gradients) { parameter.gradient = gradient }
            try optimizer.step()
        }
        let (_, profile) = try OperationProfile.record {
            try step()
            #expect(throws: MLOpsError.self) { try OperationProfile.record {} }
        }
        try step()
        // Other tests may run meanwhile, on threads of their own.
        let thread = profile.events.first { $0.layer == "profiled" }?.thread
        let events = profile.events.filter { $0.thread == thread }
        func find(_ name: String, _ category: OperationProfile.Category) -> [OperationProfile.Event] {
            events.filter { $0.name == name && $0.category == category }
        }
        #expect(find("conv2d", .forward).map(\.layer) == ["profiled"])
        #expect(find("conv2d", .backward).map(\.layer) == ["profiled"])
        #expect(find("tanh", .forward).map(\.layer) == ["act"])
        #expect(find("crossEntropy", .backward).map(\.layer) == [""])
        #expect(find("AdamW", .optimizer).count == 1)
        let conv = try #require(find("conv2d", .forward).first)
        #expect(conv.shapes == [[4, 1, 8, 8], [2, 1, 3, 3], [2], [4, 2, 6, 6]])
        let layer = try #require(find("Conv2d", .layer).first)
        #expect(layer.start <= conv.start && conv.start + conv.nanoseconds <= layer.start + layer.nanoseconds)
        #expect(layer.layer == "profiled")
        let trace = try JSONValue(parsing: profile.chromeTrace(), source: "trace")
        let entries = try #require(trace["traceEvents"]?.array)
        #expect(entries.count == profile.events.count)
        for entry in entries {
            #expect(entry["ph"]?.string == "X" && entry["ts"]?.number ?? -1 >= 0 && entry["dur"]?.number ?? -1 >= 0)
            #expect(entry["pid"]?.integer == 1 && entry["tid"]?.integer ?? -1 >= 0)
        }
        #expect(profile.totals.first?.nanoseconds ?? 0 > 0)
    }
}

import Basics
import NeuralNets
import Tensors
import Testing

@Suite(.serialized) struct TrainingTests {
    private func blobs(_ count: Int, seed: UInt64 = 1) throws -> TensorSource {
        var generator = Philox(seed: seed)
        let labels = (0..<count).map { _ in Int64(generator.nextIndex(below: 3)) }
        let noise = Tensor.normal([count, 4], deviation: 0.7, using: &generator)
        let centres = Tensor([1, 0, 0, 1, 0, 1, 0, -1, -1, 0, 1, 0] as [Float], shape: [3, 4])
        return try TensorSource(inputs: noise + centres.gatherRows(Tensor(labels)), targets: Tensor(labels))
    }

    private func classifier() -> Sequential {
        var generator = Philox(seed: 2)
        return Sequential([
            Linear(4, 64, using: &generator), BatchNorm1d(channels: 64), GELU(), Dropout(0.2),
            Linear(64, 3, using: &generator),
        ])
    }

    private func train(
        _ configuration: TrainerConfiguration, _ module: Module? = nil, rate: Double = 0.01,
        progress: ((TrainingProgress) -> Void)? = nil
    ) throws -> (TrainingHistory, [String: Tensor], Trainer) {
        let module = module ?? classifier()
        let trainer = try Trainer(
            module, optimizer: AdamW(module.parameters().map(\.parameter), learningRate: rate), loss: .crossEntropy(),
            metrics: [.accuracy], configuration: configuration)
        let history = try trainer.fit(blobs(600), validation: blobs(200, seed: 9), progress: progress)
        return (history, module.state(), trainer)
    }

    @Test func learnsAndKeepsAHistory() throws {
        var reports = 0
        var configuration = TrainerConfiguration(epochs: 5, batchSize: 32, seed: 3)
        configuration.schedule = .warmUp(steps: 10, then: .cosine(steps: 85))
        configuration.clipNorm = 1
        let (history, _, trainer) = try train(configuration) { _ in reports += 1 }
        #expect(history.epochs.count == 5)
        #expect(history.stepCount == 95)
        #expect(reports == 100)
        #expect(history.epochs[4].loss < history.epochs[0].loss)
        #expect(try #require(history.epochs[4].validationMetrics?["accuracy"]) > 0.85)
        #expect(try trainer.evaluate(blobs(200, seed: 9)).metrics["accuracy"] ?? 0 > 0.85)
        let decoded: TrainingHistory = try JSONValue(encoding: history).decode()
        #expect(decoded.epochs.map(\.loss) == history.epochs.map(\.loss))
    }

    @Test func theResultIsTheSameForOneAndTwoThreads() throws {
        let before = EngineThreads.count
        defer { EngineThreads.count = before }
        var results: [[String: Tensor]] = []
        for threads in [1, 2] {
            EngineThreads.count = threads
            results.append(try train(TrainerConfiguration(epochs: 2, batchSize: 50, seed: 3)).1)
        }
        for (path, value) in results[0] { #expect(results[1][path]?.isIdentical(to: value) == true, "\(path)") }
        #expect(results[0].count == 9)
    }

    @Test func stopsWhenPatienceRunsOutAndRestoresTheBest() throws {
        var configuration = TrainerConfiguration(epochs: 60, batchSize: 20, seed: 3)
        configuration.patience = 2
        let (history, _, trainer) = try train(configuration, rate: 0.05)
        #expect(history.hasStoppedEarly)
        let best = try #require(history.bestEpoch)
        #expect(history.epochs.count == best + 2)
        #expect(history.hasRestoredBest)
        let loss = try trainer.evaluate(blobs(200, seed: 9)).loss
        #expect(abs(loss - (history.epochs[best - 1].validationLoss ?? 0)) < 1e-9)
        #expect(history.epochs.allSatisfy { ($0.validationLoss ?? 0) >= loss })
    }

    @Test func aLossThatIsNotFiniteNamesTheLayer() throws {
        let module = classifier()
        let weight = try #require(module.parameters().first { $0.path == "4.weight" }).parameter
        weight.update { value in value = .full(.infinity, value.shape) }
        let error = #expect(throws: MLOpsError.self) {
            try train(TrainerConfiguration(epochs: 1, batchSize: 32), module)
        }
        let message = error?.message ?? ""
        #expect(message.hasPrefix("step 1 (epoch 1): the loss is"), "\(message)")
        #expect(message.contains("`4` (Linear), whose `weight` is not finite any more"), "\(message)")
    }

    @Test func aBatchThatIsNotFiniteIsToldApart() throws {
        let module = classifier()
        let trainer = try Trainer(
            module, optimizer: SGD(module.parameters().map(\.parameter), learningRate: 0.1), loss: .crossEntropy(),
            configuration: TrainerConfiguration(epochs: 1, batchSize: 2))
        let source = try TensorSource(inputs: .full(.nan, [2, 4]), targets: .zeros([2], dtype: .i64))
        let error = #expect(throws: MLOpsError.self) { try trainer.fit(source) }
        #expect(error?.message.contains("the batch itself holds values that are not finite") == true)
    }

    @Test func aCancelledTaskStops() async throws {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try train(TrainerConfiguration(epochs: 1000, batchSize: 1))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func aThousandStepsGrowMemoryByNothing() throws {
        let module = classifier()
        let optimizer = Adam(module.parameters().map(\.parameter), learningRate: 0.001)
        let batch = try blobs(32).batch(Array(0..<32))
        func step() throws {
            let parameters = optimizer.parameters
            let loss = try Loss.crossEntropy()(module(batch.inputs), batch.targets)
            for (parameter, gradient) in zip(parameters, try grad(of: loss, with: parameters.map(\.value))) {
                parameter.gradient = gradient
            }
            try optimizer.step()
        }
        for _ in 0..<20 { try step() }
        let before = EngineMemory.balanceOfThread
        for _ in 0..<1000 { try step() }
        #expect(EngineMemory.balanceOfThread == before)
    }

    @Test func twentyStepsOfNetworksEqualPyTorch() throws {
        let fixture: Fixtures.Networks = try Fixtures.load("networks.json")
        var generator = Philox(seed: 1)
        let convolutional = Sequential([
            Conv2d(1, 4, kernel: 3, padding: 1, using: &generator), BatchNorm2d(channels: 4), ReLU(),
            MaxPool2d(kernel: 2),
            Conv2d(4, 6, kernel: 3, using: &generator), Tanh(), AvgPool2d(kernel: 2), Flatten(),
            Linear(6, 5, using: &generator),
        ])
        let dense = Sequential([
            Linear(7, 12, hasBias: false, using: &generator), BatchNorm1d(channels: 12), GELU(),
            Linear(12, 8, using: &generator),
            LayerNorm(8), Sigmoid(), Linear(8, 5, using: &generator),
        ])
        try compare(convolutional, fixture.convolutional) { SGD($0, learningRate: 0.05, momentum: 0.9) }
        try compare(dense, fixture.dense) { Adam($0, learningRate: 0.01) }
    }

    private func compare(
        _ module: Module, _ run: Fixtures.Run, optimizer make: ([Parameter]) -> any Optimizer
    ) throws {
        var start = run.start.mapValues(\.tensor)
        for (path, _) in module.buffers() where path.hasSuffix("num_batches_tracked") {
            start[path] = .zeros([], dtype: .i64)
        }
        try module.load(start)
        let parameters = module.parameters().map(\.parameter)
        let optimizer = make(parameters)
        for (step, expected) in run.losses.enumerated() {
            let loss = try Loss.crossEntropy()(module(run.x.tensor), Tensor(run.labels))
            #expect(abs(try loss.item() - expected) <= 1e-5 * expected, "loss of step \(step)")
            let gradients = try grad(of: loss, with: parameters.map(\.value))
            for (index, gradient) in gradients.enumerated() {
                parameters[index].gradient = gradient
                #expect(gradient.floats().contains { $0 != 0 }, "gradient \(index)")
            }
            try optimizer.step()
        }
        for (path, value) in module.state() where value.dtype == .f32 {
            let expected = try #require(run.end[path]).tensor
            #expect(Fixtures.difference(value, expected) <= 1e-4, "\(path)")
        }
    }
}

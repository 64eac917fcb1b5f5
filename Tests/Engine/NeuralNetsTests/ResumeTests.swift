import Basics
import NeuralNets
import Tensors
import Testing

/// Stops a run and keeps the state to go on from.
private final class Interruption: TrainingCallback {
    private let step: Int
    private(set) var checkpoint: TrainingCheckpoint?

    init(after step: Int) { self.step = step }

    func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) throws {
        guard progress.totalSteps == step else { return }
        checkpoint = try trainer.checkpoint()
        trainer.stop()
    }
}

@Suite(.serialized) struct ResumeTests {
    /// A run with everything that has a state: dropout, batch norm, Adam, averages, schedule, plateau, best epoch.
    private func trainer() throws -> Trainer {
        var generator = Philox(seed: 2)
        let module = Sequential([
            Linear(4, 16, using: &generator), BatchNorm1d(channels: 16), SiLU(), Dropout(0.2),
            DropConnect(16, 16, probability: 0.1, using: &generator), Tanh(), Linear(16, 3, using: &generator),
        ])
        var configuration = TrainerConfiguration(epochs: 4, batchSize: 16, seed: 3)
        configuration.schedule = .warmUp(steps: 5, then: .cosine(steps: 40, floor: 0.1))
        configuration.plateau = PlateauSchedule(factor: 0.5, patience: 0)
        configuration.clipNorm = 1
        configuration.microBatchSize = 10
        configuration.averageDecay = 0.9
        configuration.prefetches = true
        let groups = try module.parameterGroups(decaysVectors: false, layerDecay: 0.9)
        return try Trainer(
            module, optimizer: AdamW(groups, learningRate: 0.02, isAMSGrad: true), loss: .crossEntropy(),
            metrics: [.accuracy], configuration: configuration)
    }

    private func source(_ count: Int, seed: UInt64) throws -> TensorSource {
        var generator = Philox(seed: seed)
        let labels = (0..<count).map { _ in Int64(generator.nextIndex(below: 3)) }
        let noise = Tensor.normal([count, 4], using: &generator)
        let centres = Tensor([1, 0, 0, 1, 0, 1, 0, -1, -1, 0, 1, 0] as [Float], shape: [3, 4])
        return try TensorSource(inputs: noise + centres.gatherRows(Tensor(labels)), targets: Tensor(labels))
    }

    /// Ten steps an epoch: in the first, in the middle of the second, at an epoch's last step, in the last epoch.
    @Test(arguments: [1, 14, 20, 37])
    func aResumedRunEndsBitForBitAsOneThatWasNotInterrupted(_ step: Int) throws {
        let (training, validation) = (try source(150, seed: 1), try source(60, seed: 7))
        let whole = try trainer()
        let expected = try whole.fit(training, validation: validation)
        let interruption = Interruption(after: step)
        let first = try trainer()
        let partial = try first.fit(training, validation: validation, callbacks: [interruption])
        #expect(partial.isInterrupted && partial.stepCount == step)
        let saved = try #require(interruption.checkpoint)
        #expect(saved.stepCount == step)
        // What a file would hold, in another process: nothing but tensors and texts.
        let checkpoint = try TrainingCheckpoint(tensors: saved.tensors, metadata: saved.metadata)
        let second = try trainer()
        let history = try second.fit(training, validation: validation, resuming: checkpoint)
        #expect(!history.isInterrupted && history.stepCount == 40)
        #expect(history.epochs.map(\.loss) == expected.epochs.map(\.loss))
        #expect(history.epochs.map(\.validationLoss) == expected.epochs.map(\.validationLoss))
        #expect(history.epochs.map(\.learningRate) == expected.epochs.map(\.learningRate))
        #expect(history.bestEpoch == expected.bestEpoch)
        for (path, value) in whole.module.state() {
            #expect(second.module.state()[path]?.isIdentical(to: value) == true, "\(path)")
        }
        for (name, value) in whole.optimizer.state() {
            #expect(second.optimizer.state()[name]?.isIdentical(to: value) == true, "\(name)")
        }
    }

    @Test func anotherRunIsNotResumed() throws {
        let interruption = Interruption(after: 3)
        let training = try source(150, seed: 1)
        _ = try trainer().fit(training, callbacks: [interruption])
        let checkpoint = try #require(interruption.checkpoint)
        let error = #expect(throws: MLOpsError.self) {
            try trainer().fit(source(151, seed: 1), resuming: checkpoint)
        }
        let message = error?.message ?? ""
        #expect(message.contains("of 150 examples, seed 3, batches of 16 in pieces of 10, shuffled"), "\(message)")
        #expect(message.contains("this run of 151 examples"), "\(message)")
        #expect(throws: MLOpsError.self) { try TrainingCheckpoint(tensors: [:], metadata: [:]) }
        let damaged = ["training": "{\"epoch\": 1"]
        #expect(throws: MLOpsError.self) { try TrainingCheckpoint(tensors: [:], metadata: damaged) }
    }

    @Test func threadsAndPrefetchDoNotChangeAnything() throws {
        let before = EngineThreads.count
        defer { EngineThreads.count = before }
        var results: [[String: Tensor]] = []
        for threads in [1, 2, 4] {
            EngineThreads.count = threads
            let one = try trainer()
            _ = try one.fit(source(150, seed: 1), validation: source(60, seed: 7))
            results.append(one.module.state())
        }
        for (path, value) in results[0] {
            #expect(results[1][path]?.isIdentical(to: value) == true, "\(path)")
            #expect(results[2][path]?.isIdentical(to: value) == true, "\(path)")
        }
    }
}

internal import Basics
internal import Datasets
internal import Interchange
package import NeuralNets
internal import Tensors

/// The part of a training that no longer knows of files: a network, examples, a plan.
struct NetworkTraining {
    struct Outcome {
        var state: [String: Tensor]
        var history: [EpochRecord]
        var bestEpoch: Int
        var parameterCount: Int
    }

    let architecture: Architecture
    let plan: TrainingPlan
    let seed: UInt64
    let training: ExampleSet
    let validation: ExampleSet?

    func run(progress: (EpochRecord) -> Void) throws -> Outcome {
        var generator = Philox(seed: seed, stream: "weights")
        let network = try architecture.makeNetwork(
            using: &generator, initializer: plan.initialization.initializer)
        let trainer = try Trainer(
            network, optimizer: plan.makeOptimizer(for: network),
            loss: .crossEntropy(labelSmoothing: plan.labelSmoothing),
            metrics: [.accuracy], configuration: configuration())
        let history = try withoutActuallyEscaping(progress) { progress in
            try trainer.fit(ExampleSource(examples: training), validation: validation.map(ExampleSource.init)) {
                if let epoch = $0.finished { progress(EpochRecord(epoch)) }
            }
        }
        let bestEpoch = history.hasRestoredBest ? history.bestEpoch : history.epochs.last?.epoch
        return Outcome(
            state: network.state(), history: history.epochs.map(EpochRecord.init), bestEpoch: bestEpoch ?? 0,
            parameterCount: network.parameterCount)
    }

    private var stepsPerEpoch: Int {
        dropsLast ? training.count / plan.batchSize : (training.count + plan.batchSize - 1) / plan.batchSize
    }

    /// Batch norm cannot learn from a batch of one, and a batch that is not full has another noise than the rest.
    private var dropsLast: Bool { training.count > plan.batchSize }

    private func configuration() -> TrainerConfiguration {
        var configuration = TrainerConfiguration(epochs: plan.epochs, batchSize: plan.batchSize, seed: seed)
        let warmUp = Int((plan.warmUpEpochs * Double(stepsPerEpoch)).rounded())
        let steps = max(1, plan.epochs * stepsPerEpoch - warmUp)
        let main: Schedule =
            switch plan.schedule {
            case .cosine: .cosine(steps: steps)
            case .constant: .constant
            case .step: plan.stepSchedule(steps: steps)
            }
        configuration.schedule = warmUp > 0 ? .warmUp(steps: warmUp, then: main) : main
        configuration.patience = validation != nil && plan.patience > 0 ? plan.patience : nil
        configuration.restoresBest = validation != nil
        configuration.dropsLast = dropsLast
        configuration.validationBatchSize = 256
        configuration.clipNorm = plan.clipNorm > 0 ? plan.clipNorm : nil
        return configuration
    }
}

extension TrainingPlan {
    /// A tenth of the rate from half of `steps` on.
    fileprivate func stepSchedule(steps: Int) -> NeuralNets.Schedule {
        .step(interval: max(1, (steps + 1) / 2), factor: 0.1)
    }

    /// The optimizer of the plan over all parameters of `network`.
    package func makeOptimizer(for network: Module) -> any NeuralNets.Optimizer {
        let parameters = network.parameters().map(\.parameter)
        switch optimizer {
        case .adamw: return AdamW(parameters, learningRate: learningRate, weightDecay: weightDecay)
        case .adam: return Adam(parameters, learningRate: learningRate, weightDecay: weightDecay)
        case .sgd:
            return SGD(
                parameters, learningRate: learningRate, momentum: momentum, isNesterov: momentum > 0,
                weightDecay: weightDecay)
        }
    }
}

/// Examples as the trainer asks for them.
private struct ExampleSource: BatchSource {
    let examples: ExampleSet

    var count: Int { examples.count }

    func batch(_ indices: [Int]) throws -> Batch {
        Batch(inputs: examples.batch(at: indices), targets: examples.batchLabels(at: indices))
    }
}

extension EpochRecord {
    fileprivate init(_ epoch: TrainingHistory.Epoch) {
        self.init(
            epoch: epoch.epoch, learningRate: epoch.learningRate, trainLoss: epoch.loss,
            trainAccuracy: epoch.metrics["accuracy"] ?? 0, validationLoss: epoch.validationLoss,
            validationAccuracy: epoch.validationMetrics?["accuracy"], seconds: epoch.seconds)
    }
}

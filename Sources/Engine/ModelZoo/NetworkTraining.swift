internal import Basics
internal import Datasets
internal import Interchange
package import NeuralNets
internal import TensorFiles
internal import Tensors

/// The part of a training that no longer knows of files: a network, examples, a plan.
struct NetworkTraining {
    struct Outcome {
        var state: [String: Tensor]
        var history: [EpochRecord]
        var bestEpoch: Int
        var parameterCount: Int
        var diagnoses: [NetworkDiagnosis] = []
    }

    let architecture: Architecture
    let plan: TrainingPlan
    let seed: UInt64
    let training: ExampleSet
    let validation: ExampleSet?
    let classCount: Int
    /// That make batches ahead of the steps; 0 makes each batch between two steps.
    let loaderThreads: Int

    func run(_ observer: TrainingObserver) throws -> Outcome {
        var generator = Philox(seed: seed, stream: "weights")
        let network = try architecture.makeNetwork(
            using: &generator, initializer: plan.initialization.initializer)
        let loss = Loss.crossEntropy(labelSmoothing: plan.labelSmoothing)
        let trainer = try Trainer(
            network, optimizer: plan.makeOptimizer(for: network), loss: loss, metrics: [.accuracy],
            configuration: configuration())
        let source = try ExampleSource(
            training, augmentations: plan.augmentations, classCount: classCount, seed: seed, threads: loaderThreads)
        let held = try validation.map { try ExampleSource($0, classCount: classCount, seed: seed) }
        var diagnoses: [NetworkDiagnosis] = []
        var fault: (any Error)?
        func diagnose(after epoch: Int) throws {
            guard observer.diagnoses else { return }
            diagnoses.append(try NetworkDiagnosis.measure(network, diagnosisBatch(), loss: loss, epoch: epoch))
        }
        try diagnose(after: 0)
        let keeper = observer.checkpoint.map { CheckpointKeeper(path: $0, identity: identity) }
        let history = try trainer.fit(
            source, validation: held, callbacks: keeper.map { [$0] } ?? [],
            resuming: try observer.resumes ? keeper?.load(passesOver: observer.startsOver) : nil
        ) { progress in
            observer.step(TrainingStep(progress, batchSize: plan.batchSize))
            guard let epoch = progress.finished else { return }
            observer.epoch(EpochRecord(epoch))
            do { try diagnose(after: epoch.epoch) } catch { fault = fault ?? error }
        }
        if let fault { throw fault }
        if history.isInterrupted { throw CancellationError() }
        let bestEpoch = history.hasRestoredBest ? history.bestEpoch : history.epochs.last?.epoch
        return Outcome(
            state: network.state(), history: history.epochs.map(EpochRecord.init), bestEpoch: bestEpoch ?? 0,
            parameterCount: network.parameterCount, diagnoses: diagnoses)
    }

    /// What must not change between a run and its resumption.
    private var identity: String { "\(architecture) \(plan) \(seed) \(training.digest)" }

    /// Some examples of the training split, the same each time.
    private func diagnosisBatch() -> Batch {
        let chosen = Splits.sample(labels: training.labels, count: min(256, training.count), seed: seed)
        return Batch(inputs: training.batch(at: chosen), targets: training.batchLabels(at: chosen))
    }

    private var stepsPerEpoch: Int {
        dropsLast ? training.count / plan.batchSize : (training.count + plan.batchSize - 1) / plan.batchSize
    }

    /// Batch norm cannot learn from a batch of one, and a batch that is not full has another noise than the rest.
    private var dropsLast: Bool { training.count > plan.batchSize }

    private func configuration() -> TrainerConfiguration {
        var configuration = TrainerConfiguration(epochs: plan.epochs, batchSize: plan.batchSize, seed: seed)
        configuration.schedule = plan.schedule(stepsPerEpoch: stepsPerEpoch)
        if plan.schedule == .plateau {
            configuration.plateau = PlateauSchedule(
                factor: plan.decayFactor, patience: plan.decayEpochs > 0 ? Int(plan.decayEpochs.rounded(.up)) : 3)
        }
        configuration.patience = validation != nil && plan.patience > 0 ? plan.patience : nil
        configuration.restoresBest = validation != nil
        configuration.dropsLast = dropsLast
        configuration.validationBatchSize = 256
        configuration.clipNorm = plan.clipNorm > 0 ? plan.clipNorm : nil
        configuration.clipValue = plan.clipValue > 0 ? plan.clipValue : nil
        configuration.microBatchSize = plan.microBatchSize > 0 ? plan.microBatchSize : nil
        configuration.averageDecay = plan.averageDecay > 0 ? plan.averageDecay : nil
        return configuration
    }
}

extension TrainingPlan {
    /// The factor of the rate at each step.
    fileprivate func schedule(stepsPerEpoch: Int) -> NeuralNets.Schedule {
        func steps(_ epochs: Double) -> Int { Int((epochs * Double(stepsPerEpoch)).rounded()) }
        let all = epochs * stepsPerEpoch
        let warmUp = schedule == .oneCycle ? 0 : steps(warmUpEpochs)
        let rest = max(1, all - warmUp)
        let main: NeuralNets.Schedule
        switch schedule {
        case .cosine: main = .cosine(steps: rest)
        case .constant, .plateau: main = .constant
        case .step:
            main = .step(interval: max(1, decayEpochs > 0 ? steps(decayEpochs) : (rest + 1) / 2), factor: decayFactor)
        case .linear: main = .polynomial(steps: rest)
        case .oneCycle:
            var cycle = OneCycle(steps: all)
            cycle.momentum = 0.85...0.95
            main = .oneCycle(cycle)
        }
        return warmUp > 0 ? .warmUp(steps: warmUp, then: main) : main
    }

    /// The optimizer of the plan over all parameters of `network`.
    package func makeOptimizer(for network: Module) -> any NeuralNets.Optimizer {
        let parameters = network.parameters().map(\.parameter)
        switch optimizer {
        case .adamw:
            return AdamW(parameters, learningRate: learningRate, weightDecay: weightDecay, isAMSGrad: isAMSGrad)
        case .adam:
            return Adam(parameters, learningRate: learningRate, weightDecay: weightDecay, isAMSGrad: isAMSGrad)
        case .sgd:
            return SGD(
                parameters, learningRate: learningRate, momentum: momentum, isNesterov: momentum > 0,
                weightDecay: weightDecay)
        case .rmsprop:
            return RMSProp(parameters, learningRate: learningRate, momentum: momentum, weightDecay: weightDecay)
        case .adagrad: return Adagrad(parameters, learningRate: learningRate, weightDecay: weightDecay)
        case .lamb: return LAMB(parameters, learningRate: learningRate, weightDecay: weightDecay)
        }
    }
}

/// Keeps a checkpoint of a run: after each epoch, and when the task is cancelled.
private final class CheckpointKeeper: TrainingCallback {
    private let path: String
    private let identity: String

    init(path: String, identity: String) {
        self.path = path
        self.identity = Digest.of(Array(identity.utf8)).description
    }

    func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) throws {
        guard Task.isCancelled else { return }
        try save(trainer)
        trainer.stop()
    }

    func epochDidEnd(_ record: TrainingHistory.Epoch, _ trainer: Trainer) throws {
        if record.epoch < trainer.configuration.epochs { try save(trainer) }
    }

    private func save(_ trainer: Trainer) throws {
        let checkpoint = try trainer.checkpoint()
        var metadata = checkpoint.metadata
        metadata["settings"] = identity
        try SafetensorsFile.write(checkpoint.tensors, metadata: metadata, to: path)
    }

    /// The state that was kept; nil if there is none.
    ///
    /// - Parameter passesOver: whether one of another training counts as none.
    /// - Throws: kind `.usage` if it is of another training; what reading throws.
    func load(passesOver: Bool) throws -> TrainingCheckpoint? {
        guard FileSystem.exists(path) else { return nil }
        let file = try SafetensorsFile(path: path)
        guard file.header.metadata["settings"] == identity else {
            if passesOver { return nil }
            throw MLOpsError(
                .usage, "checkpoint `\(path)` is of a training with other settings, data or seed",
                hint: "give the settings that it was started with, or remove the file")
        }
        return try TrainingCheckpoint(tensors: file.tensors(), metadata: file.header.metadata)
    }
}

/// Examples as the trainer asks for them, changed anew in each epoch if the plan says so.
private final class ExampleSource: PlannedBatchSource {
    private let loader: ExampleLoader

    var count: Int { loader.count }

    init(
        _ examples: ExampleSet, augmentations: [Augmentation] = [], classCount: Int, seed: UInt64, threads: Int = 0
    ) throws {
        loader = try ExampleLoader(
            examples, augmentations: augmentations, classCount: classCount, seed: seed, threads: threads)
        begin(epoch: 1, batches: [])
    }

    func begin(epoch: Int, batches: [[Int]]) { loader.begin(epoch: epoch, batches: batches) }

    func batch(_ indices: [Int]) throws -> Batch {
        let batch = try loader.batch(indices)
        return Batch(inputs: batch.inputs, targets: batch.targets)
    }
}

extension TrainingStep {
    fileprivate init(_ progress: TrainingProgress, batchSize: Int) {
        let left =
            (progress.epochCount - progress.epoch) * progress.stepsPerEpoch + progress.stepsPerEpoch - progress.step
        self.init(
            epoch: progress.epoch, epochCount: progress.epochCount, step: progress.step,
            stepsPerEpoch: progress.stepsPerEpoch, loss: progress.loss,
            examplesPerSecond: progress.examplesPerSecond,
            secondsLeft: progress.examplesPerSecond > 0
                ? Double(left * batchSize) / progress.examplesPerSecond : nil)
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

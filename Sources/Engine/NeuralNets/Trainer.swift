internal import Basics
public import Tensors

/// Trains a module on a source of examples. For a seed the result is the same whatever the number of threads.
public final class Trainer {
    public let module: Module
    public let optimizer: any Optimizer
    public let loss: Loss
    public let metrics: [Metric]
    public let configuration: TrainerConfiguration
    /// Scales the loss, for values of 16 bits; nil does not.
    public var scaler: GradientScaler?
    let average: WeightAverage?
    var position: TrainingPosition
    var callbacks: [any TrainingCallback] = []
    private var best: [String: Tensor] = [:]
    private var isStopping = false

    /// - Throws: if a setting makes a run impossible.
    public init(
        _ module: Module, optimizer: any Optimizer, loss: Loss, metrics: [Metric] = [],
        configuration: TrainerConfiguration
    ) throws {
        if let fault = configuration.fault {
            throw MLOpsError(.usage, fault, hint: "use positive numbers, and f16 or bf16 for autocast")
        }
        self.module = module
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.configuration = configuration
        average = configuration.averageDecay.map {
            WeightAverage(of: module.parameters().map(\.parameter), decay: $0)
        }
        position = TrainingPosition(
            .init(configuration, exampleCount: 0), metrics: metrics, baseRate: optimizer.learningRate,
            plateau: configuration.plateau)
        module.assignPaths()
    }

    /// Trains to the end, or until patience runs out or `stop` is called.
    ///
    /// - Parameter checkpoint: of a run with the same seed, batches and number of examples, which is continued.
    /// - Throws: `CancellationError` once the task is cancelled; an error that names the first layer with NaN or infinity when
    ///   the loss is not finite; what operations, callbacks and loading throw.
    public func fit(
        _ training: any BatchSource, validation: (any BatchSource)? = nil, callbacks: [any TrainingCallback] = [],
        resuming checkpoint: TrainingCheckpoint? = nil, progress: ((TrainingProgress) -> Void)? = nil
    ) throws -> TrainingHistory {
        guard training.count > 0, !configuration.dropsLast || training.count >= configuration.batchSize else {
            throw MLOpsError(
                .failed, "\(training.count) training examples do not fill a batch of \(configuration.batchSize)",
                hint: "give more examples or a smaller batch size")
        }
        self.callbacks = callbacks
        isStopping = false
        try begin(.init(configuration, exampleCount: training.count), checkpoint)
        for callback in callbacks { try callback.trainingWillBegin(self) }
        while position.epoch <= configuration.epochs, !position.history.hasStoppedEarly {
            guard try run(training, validation, progress) else { break }
        }
        optimizer.learningRate = position.baseRate
        let isWhole = position.epoch > configuration.epochs || position.history.hasStoppedEarly
        var history = position.history
        history.isInterrupted = !isWhole
        if isWhole { try conclude(&history) }
        module.setTraining(false)
        for callback in callbacks { try callback.trainingDidEnd(history, self) }
        return history
    }

    /// Ends the run after the present step: nothing is restored, and `checkpoint` gives the state to go on from.
    public func stop() { isStopping = true }

    /// All that a run needs to go on from the last step. For a callback, or after a run that was stopped.
    public func checkpoint() throws -> TrainingCheckpoint {
        var position = position
        position.generators = module.generators()
        position.scaler = scaler
        return try TrainingCheckpoint(
            position,
            [
                "model": module.state(), "optimizer": optimizer.state(), "average": average?.state() ?? [:],
                "best": best,
            ])
    }

    /// Mean loss and metrics over all of `source`, in inference mode.
    public func evaluate(_ source: any BatchSource) throws -> (loss: Double, metrics: [String: Double]) {
        var means = RunningMeans(metrics)
        let size = configuration.validationBatchSize ?? configuration.batchSize
        try module.inferring {
            for start in stride(from: 0, to: source.count, by: size) {
                try Task.checkCancellation()
                let batch = try source.batch(Array(start..<min(start + size, source.count)))
                let output = try module(batch.inputs)
                try means.add(output, batch, loss: try loss(output, batch.targets).item(), metrics)
            }
        }
        return (means.loss, means.metrics)
    }

    /// Starts anew, or where a checkpoint was.
    private func begin(_ identity: TrainingPosition.Identity, _ checkpoint: TrainingCheckpoint?) throws {
        guard let checkpoint else {
            let baseRate = optimizer.learningRate
            position = TrainingPosition(
                identity, metrics: metrics, baseRate: baseRate, plateau: configuration.plateau)
            best = [:]
            try average?.load([:])
            module.seedRandomness(configuration.seed)
            return
        }
        let saved = try checkpoint.position()
        guard saved.identity == identity else {
            throw MLOpsError(
                .usage, "the checkpoint is of \(saved.identity.description), this run of \(identity.description)",
                hint: "resume with the settings and data that the run was started with")
        }
        try module.load(checkpoint.part("model"))
        try optimizer.load(checkpoint.part("optimizer"))
        try average?.load(checkpoint.part("average"))
        if let state = saved.scaler { scaler = state }
        best = checkpoint.part("best")
        module.setGenerators(saved.generators)
        position = saved
    }

    /// The rest of the present epoch; false if the run stops in it.
    private func run(
        _ training: any BatchSource, _ validation: (any BatchSource)?, _ progress: ((TrainingProgress) -> Void)?
    ) throws -> Bool {
        let epoch = position.epoch
        for callback in callbacks { try callback.epochWillBegin(epoch, self) }
        let batches = batches(of: epoch, training.count)
        let pieces = batches[position.step...].map(micro)
        (training as? any PlannedBatchSource)?.begin(epoch: epoch, batches: pieces.flatMap(\.self))
        let feed = BatchFeed(training, pieces.flatMap(\.self), prefetches: configuration.prefetches)
        defer { feed.close() }
        module.setTraining(true)
        var report = TrainingProgress(
            epoch: epoch, epochCount: configuration.epochs, step: position.step, stepsPerEpoch: batches.count,
            loss: 0, examplesPerSecond: 0)
        for parts in pieces {
            try Task.checkCancellation()
            let start = ContinuousClock.now
            try train(parts.map(\.count), feed, &report)
            position.step += 1
            position.seconds += (ContinuousClock.now - start).seconds
            describe(&report)
            for callback in callbacks { try callback.stepDidEnd(report, self) }
            progress?(report)
            if isStopping, position.step < batches.count { return false }
        }
        let record = try finish(epoch, validation)
        report.finished = record
        for callback in callbacks { try callback.epochDidEnd(record, self) }
        progress?(report)
        return !isStopping
    }

    private func describe(_ report: inout TrainingProgress) {
        report.step = position.step
        report.totalSteps = position.history.stepCount
        report.loss = position.means.loss
        report.metrics = position.means.metrics
        report.learningRate = optimizer.learningRate
        report.examplesPerSecond = Double(position.means.count) / max(1e-9, position.seconds)
        let epochs = configuration.epochs - report.epoch
        let steps = report.stepsPerEpoch - report.step + epochs * report.stepsPerEpoch
        report.secondsLeft =
            position.seconds / Double(report.step) * Double(steps) + position.validationSeconds * Double(epochs + 1)
    }

    /// The examples of each batch of an epoch.
    private func batches(of epoch: Int, _ count: Int) -> [[Int]] {
        let size = configuration.batchSize
        var generator = Philox(seed: configuration.seed, stream: "epoch \(epoch)")
        let order = configuration.shuffles ? generator.permutation(of: count) : Array(0..<count)
        let steps = configuration.dropsLast ? count / size : (count + size - 1) / size
        return (0..<steps).map { Array(order[$0 * size..<min(($0 + 1) * size, count)]) }
    }

    /// A batch in pieces of at most the micro batch's size.
    private func micro(_ batch: [Int]) -> [[Int]] {
        guard let size = configuration.microBatchSize, size < batch.count else { return [batch] }
        return stride(from: 0, to: batch.count, by: size).map { Array(batch[$0..<min($0 + size, batch.count)]) }
    }

    /// Validates, and moves on to the next epoch.
    private func finish(_ epoch: Int, _ validation: (any BatchSource)?) throws -> TrainingHistory.Epoch {
        let start = ContinuousClock.now
        let checked = try validation.map { source in
            try average.map { average in try average.applied { try evaluate(source) } } ?? evaluate(source)
        }
        position.validationSeconds = checked == nil ? 0 : (ContinuousClock.now - start).seconds
        let record = TrainingHistory.Epoch(
            epoch: epoch, learningRate: position.learningRate, loss: position.means.loss,
            metrics: position.means.metrics, validationLoss: checked?.loss, validationMetrics: checked?.metrics,
            seconds: position.seconds + position.validationSeconds)
        position.history.epochs.append(record)
        let watched = record.validationLoss ?? record.loss
        if position.bestLoss.map({ watched < $0 - configuration.minimumImprovement }) ?? true {
            position.bestLoss = watched
            position.history.bestEpoch = epoch
            if configuration.restoresBest { best = average?.applied { module.state() } ?? module.state() }
        }
        position.plateau?.update(watched)
        if let patience = configuration.patience, let bestEpoch = position.history.bestEpoch,
            epoch - bestEpoch >= patience, epoch < configuration.epochs
        {
            position.history.hasStoppedEarly = true
        }
        position.epoch += 1
        position.step = 0
        position.seconds = 0
        position.means = RunningMeans(metrics)
        return record
    }

    /// Puts the network into the state in which it stays.
    private func conclude(_ history: inout TrainingHistory) throws {
        average?.adopt()
        guard configuration.restoresBest, let epoch = history.bestEpoch, epoch != history.epochs.last?.epoch else {
            return
        }
        try module.load(best)
        history.hasRestoredBest = true
    }
}

extension TrainingPosition.Identity {
    init(_ configuration: TrainerConfiguration, exampleCount: Int) {
        self.init(
            seed: configuration.seed, batchSize: configuration.batchSize,
            microBatchSize: configuration.microBatchSize, exampleCount: exampleCount,
            shuffles: configuration.shuffles, dropsLast: configuration.dropsLast)
    }

    fileprivate var description: String {
        "\(exampleCount) examples, seed \(seed), batches of \(batchSize)"
            + (microBatchSize.map { " in pieces of \($0)" } ?? "") + (shuffles ? ", shuffled" : ", in order")
            + (dropsLast ? ", the last one dropped" : "")
    }
}

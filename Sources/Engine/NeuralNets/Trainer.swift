internal import Basics
internal import Tensors

/// The settings of a training run.
public struct TrainerConfiguration: Sendable {
    public var epochs: Int
    public var batchSize: Int
    /// Of the order of examples and of dropout.
    public var seed: UInt64
    /// Changes the optimizer's rate, counted in steps.
    public var schedule = Schedule.constant
    /// Gradients are scaled down to this L2 norm, all together.
    public var clipNorm: Double?
    /// Epochs without an improvement after which training stops; nil trains to the end.
    public var patience: Int?
    /// What counts as an improvement of the loss.
    public var minimumImprovement = 0.0
    /// Whether the network ends in the state after its best epoch.
    public var restoresBest = true
    /// Whether examples come in a new random order each epoch.
    public var shuffles = true
    /// Whether a last batch that is not full is left out.
    public var dropsLast = false
    /// Of validation; nil means `batchSize`.
    public var validationBatchSize: Int?

    public init(epochs: Int, batchSize: Int, seed: UInt64 = 0) {
        self.epochs = epochs
        self.batchSize = batchSize
        self.seed = seed
    }
}

/// Trains a module on a source of examples. For a seed the result is the same whatever the number of threads.
public final class Trainer {
    public let module: Module
    public let optimizer: any Optimizer
    public let loss: Loss
    public let metrics: [Metric]
    public let configuration: TrainerConfiguration
    private let baseRate: Double
    private var stepCount = 0

    /// - Throws: if epochs or batch size are not positive.
    public init(
        _ module: Module, optimizer: any Optimizer, loss: Loss, metrics: [Metric] = [],
        configuration: TrainerConfiguration
    ) throws {
        guard configuration.epochs > 0, configuration.batchSize > 0, configuration.patience.map({ $0 > 0 }) ?? true
        else {
            throw MLOpsError(
                .usage,
                "training of \(configuration.epochs) epochs in batches of \(configuration.batchSize) with a patience of "
                    + "\(configuration.patience.map(String.init) ?? "no") epochs is impossible",
                hint: "use positive numbers")
        }
        self.module = module
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.configuration = configuration
        baseRate = optimizer.learningRate
        module.assignPaths()
    }

    /// Trains to the end, or until patience runs out.
    ///
    /// - Throws: `CancellationError` once the task is cancelled; an error that names the first layer with NaN or infinity when
    ///   the loss is not finite; what operations throw.
    public func fit(
        _ training: any BatchSource, validation: (any BatchSource)? = nil,
        progress: ((TrainingProgress) -> Void)? = nil
    ) throws -> TrainingHistory {
        guard training.count > 0, !configuration.dropsLast || training.count >= configuration.batchSize else {
            throw MLOpsError(
                .failed, "\(training.count) training examples do not fill a batch of \(configuration.batchSize)",
                hint: "give more examples or a smaller batch size")
        }
        module.seedRandomness(configuration.seed)
        var history = TrainingHistory()
        var best = BestState(minimumImprovement: configuration.minimumImprovement)
        for epoch in 1...configuration.epochs {
            let record = try run(epoch, training, validation, progress)
            history.epochs.append(record)
            history.stepCount = stepCount
            best.consider(record.validationLoss ?? record.loss, epoch: epoch) {
                configuration.restoresBest ? module.state() : [:]
            }
            history.bestEpoch = best.epoch
            if let patience = configuration.patience, let bestEpoch = best.epoch, epoch - bestEpoch >= patience,
                epoch < configuration.epochs
            {
                history.hasStoppedEarly = true
                break
            }
        }
        if configuration.restoresBest, let epoch = best.epoch, epoch != history.epochs.last?.epoch {
            try module.load(best.state)
            history.hasRestoredBest = true
        }
        module.setTraining(false)
        return history
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
                try means.add(output, batch, loss: try loss(output, batch.targets).item())
            }
        }
        return (means.loss, means.metrics)
    }

    private func run(
        _ epoch: Int, _ training: any BatchSource, _ validation: (any BatchSource)?,
        _ progress: ((TrainingProgress) -> Void)?
    ) throws -> TrainingHistory.Epoch {
        let start = ContinuousClock.now
        let size = configuration.batchSize
        var generator = Philox(seed: configuration.seed, stream: "epoch \(epoch)")
        let order = configuration.shuffles ? generator.permutation(of: training.count) : Array(0..<training.count)
        let steps = configuration.dropsLast ? order.count / size : (order.count + size - 1) / size
        let batches = (0..<steps).map { Array(order[$0 * size..<min(($0 + 1) * size, order.count)]) }
        (training as? any PlannedBatchSource)?.begin(epoch: epoch, batches: batches)
        var means = RunningMeans(metrics)
        var report = TrainingProgress(
            epoch: epoch, epochCount: configuration.epochs, step: 0, stepsPerEpoch: steps, loss: 0, examplesPerSecond: 0
        )
        module.setTraining(true)
        for (step, indices) in batches.enumerated() {
            try Task.checkCancellation()
            let batch = try training.batch(indices)
            try train(batch, epoch: epoch, means: &means)
            report.step = step + 1
            report.loss = means.loss
            report.examplesPerSecond = Double(means.count) / max(1e-9, (ContinuousClock.now - start).seconds)
            progress?(report)
        }
        let checked = try validation.map { try evaluate($0) }
        let record = TrainingHistory.Epoch(
            epoch: epoch, learningRate: optimizer.learningRate, loss: means.loss, metrics: means.metrics,
            validationLoss: checked?.loss, validationMetrics: checked?.metrics,
            seconds: (ContinuousClock.now - start).seconds)
        report.finished = record
        progress?(report)
        return record
    }

    /// One step: forward, backward, clip, update.
    private func train(_ batch: Batch, epoch: Int, means: inout RunningMeans) throws {
        optimizer.learningRate = baseRate * configuration.schedule.factor(at: stepCount)
        let trained = module.parameters().filter { !$0.parameter.isFrozen }
        let (output, value) = try pass(batch, trained, epoch: epoch)
        if let norm = configuration.clipNorm {
            try clipGradients(of: trained.map(\.parameter), toNorm: norm)
        }
        try optimizer.step()
        optimizer.clearGradients()
        stepCount += 1
        try means.add(output, batch, loss: value)
    }

    /// Forward and backward. The graph ends with this function: it would keep the optimizer from updating in place.
    private func pass(
        _ batch: Batch, _ trained: [(path: String, parameter: Parameter)], epoch: Int
    ) throws -> (output: Tensor, loss: Double) {
        let output = try module(batch.inputs)
        let loss = try loss(output, batch.targets)
        let value = try loss.item()
        guard value.isFinite else { throw try divergence(value, batch, epoch: epoch) }
        try computeGradients(of: loss, trained)
        return (output.detached, value)
    }

    private func computeGradients(of loss: Tensor, _ trained: [(path: String, parameter: Parameter)]) throws {
        let gradients: [Tensor]
        do {
            gradients = try grad(of: loss, with: trained.map(\.parameter.value))
        } catch let error as MLOpsError {
            throw MLOpsError(
                .failed, "the gradients of \(trained.count) parameters cannot be computed: \(error.message)",
                hint: "freeze parameters that the loss does not depend on, in order: "
                    + trained.map(\.path).prefix(12).joined(separator: ", "), cause: error)
        }
        for (entry, gradient) in zip(trained, gradients) { entry.parameter.gradient = gradient }
    }

    /// The error that says where a value that is not finite came from.
    private func divergence(_ value: Double, _ batch: Batch, epoch: Int) throws -> MLOpsError {
        let place = "step \(stepCount + 1) (epoch \(epoch)): the loss is \(value)"
        if !batch.inputs.isFinite || !batch.targets.isFinite {
            return MLOpsError(
                .failed, "\(place), and the batch itself holds values that are not finite",
                hint: "clean the data, or impute what is missing")
        }
        var culprit: String?
        let modules = module.modules().map(\.module)
        for module in modules {
            module.observer = { module, output in
                guard culprit == nil, module.children.isEmpty, !output.isFinite else { return }
                let broken = module.ownParameters.first { !$0.parameter.value.isFinite }
                culprit =
                    "`\(module.path)` (\(module.kind))"
                    + (broken.map { ", whose `\($0.name)` is not finite any more" } ?? "")
            }
        }
        defer { for module in modules { module.observer = nil } }
        _ = try withoutGradients { try module(batch.inputs) }
        return MLOpsError(
            .failed,
            "\(place); the first layer with a value that is not finite is \(culprit ?? "none: the loss itself overflowed")",
            hint: "lower the learning rate, or clip the gradients")
    }
}

/// Means over examples of loss and metrics.
private struct RunningMeans {
    private let kinds: [Metric]
    private var lossSum = 0.0
    private var sums: [Double]
    private(set) var count = 0

    init(_ kinds: [Metric]) {
        self.kinds = kinds
        sums = kinds.map { _ in 0 }
    }

    var loss: Double { lossSum / Double(max(1, count)) }

    var metrics: [String: Double] {
        Dictionary(zip(kinds.map(\.name), sums.map { $0 / Double(max(1, count)) }), uniquingKeysWith: { $1 })
    }

    mutating func add(_ output: Tensor, _ batch: Batch, loss: Double) throws {
        let size = batch.inputs.shape.first ?? 1
        count += size
        lossSum += loss * Double(size)
        for (index, metric) in kinds.enumerated() { sums[index] += try metric.sum(output, batch.targets) }
    }
}

/// The best epoch so far and the network's state after it.
private struct BestState {
    let minimumImprovement: Double
    private var loss = Double.infinity
    private(set) var epoch: Int?
    private(set) var state: [String: Tensor] = [:]

    init(minimumImprovement: Double) { self.minimumImprovement = minimumImprovement }

    mutating func consider(_ loss: Double, epoch: Int, state: () -> [String: Tensor]) {
        guard self.epoch == nil || loss < self.loss - minimumImprovement else { return }
        self.loss = loss
        self.epoch = epoch
        self.state = state()
    }
}

internal import Basics
internal import Tensors

/// Where a run is: all that it needs besides tensors to go on as if it had never stopped.
struct TrainingPosition: Codable {
    /// What a run must share with the one that it resumes.
    struct Identity: Codable, Equatable {
        var seed: UInt64
        var batchSize: Int
        var microBatchSize: Int?
        var exampleCount: Int
        var shuffles: Bool
        var dropsLast: Bool
    }

    var identity: Identity
    /// The epoch that the next step is of, from 1.
    var epoch = 1
    /// Steps done in this epoch.
    var step = 0
    /// Of the last step.
    var learningRate = 0.0
    /// Seconds spent in this epoch's steps.
    var seconds = 0.0
    /// Seconds that the last validation took.
    var validationSeconds = 0.0
    var means: RunningMeans
    var history = TrainingHistory()
    var bestLoss: Double?
    var plateau: PlateauSchedule?
    /// The rate without schedule and plateau.
    var baseRate: Double
    /// What modules draw their masks from, by path.
    var generators: [String: Philox] = [:]
    var scaler: GradientScaler?

    init(_ identity: Identity, metrics: [Metric], baseRate: Double, plateau: PlateauSchedule?) {
        self.identity = identity
        self.baseRate = baseRate
        self.plateau = plateau
        means = RunningMeans(metrics)
    }
}

/// Means over examples of loss and metrics.
struct RunningMeans: Codable {
    private let names: [String]
    private var lossSum = 0.0
    private var sums: [Double]
    private(set) var count = 0

    init(_ kinds: [Metric]) {
        names = kinds.map(\.name)
        sums = kinds.map { _ in 0 }
    }

    var loss: Double { lossSum / Double(max(1, count)) }

    var metrics: [String: Double] {
        Dictionary(zip(names, sums.map { $0 / Double(max(1, count)) }), uniquingKeysWith: { $1 })
    }

    /// - Parameter kinds: those that the means were made with.
    mutating func add(_ output: Tensor, _ batch: Batch, loss: Double, _ kinds: [Metric]) throws {
        let size = batch.inputs.shape.first ?? 1
        count += size
        lossSum += loss * Double(size)
        for (index, metric) in kinds.enumerated() { sums[index] += try metric.sum(output, batch.targets) }
    }
}

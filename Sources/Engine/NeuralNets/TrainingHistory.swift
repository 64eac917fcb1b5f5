/// What training did, epoch by epoch.
public struct TrainingHistory: Sendable, Codable, Equatable {
    public struct Epoch: Sendable, Codable, Equatable {
        /// From 1.
        public var epoch: Int
        /// The rate of the epoch's last step.
        public var learningRate: Double
        /// Mean over the epoch's examples, as they were trained on.
        public var loss: Double
        public var metrics: [String: Double]
        public var validationLoss: Double?
        public var validationMetrics: [String: Double]?
        /// Wall time of the epoch.
        public var seconds: Double
    }

    public var epochs: [Epoch] = []
    /// The epoch with the smallest validation loss (training loss without validation), from 1.
    public var bestEpoch: Int?
    /// Whether patience ran out before the last epoch.
    public var hasStoppedEarly = false
    /// Whether `Trainer.stop` ended the run before its end.
    public var isInterrupted = false
    /// Whether the network was put back to its state after the best epoch.
    public var hasRestoredBest = false
    public var stepCount = 0
}

/// Where training is, told after every step and after every epoch.
public struct TrainingProgress: Sendable {
    /// From 1.
    public var epoch: Int
    public var epochCount: Int
    /// Steps done in this epoch.
    public var step: Int
    public var stepsPerEpoch: Int
    /// Steps done in all epochs.
    public var totalSteps = 0
    /// Mean loss of this epoch so far.
    public var loss: Double
    /// Means of the metrics of this epoch so far.
    public var metrics: [String: Double] = [:]
    /// The loss of the last step alone.
    public var stepLoss = 0.0
    /// The rate of the last step.
    public var learningRate = 0.0
    /// The L2 norm of all gradients before clipping, if they are clipped.
    public var gradientNorm: Double?
    /// Training examples a second in this epoch so far.
    public var examplesPerSecond: Double
    /// Until the last epoch's end, were all steps as fast as this epoch's so far and validation as slow as before; nil before
    /// the first step.
    public var secondsLeft: Double?
    /// The epoch's record, once it is over.
    public var finished: TrainingHistory.Epoch?
}

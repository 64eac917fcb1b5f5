public import Tensors

/// The settings of a training run.
public struct TrainerConfiguration: Sendable {
    public var epochs: Int
    public var batchSize: Int
    /// Of the order of examples and of dropout.
    public var seed: UInt64
    /// Changes the optimizer's rate, counted in steps.
    public var schedule = Schedule.constant
    /// Lowers the rate, on top of the schedule, when the loss that `patience` watches stops getting better.
    public var plateau: PlateauSchedule?
    /// Gradients are scaled down to this L2 norm, all together.
    public var clipNorm: Double?
    /// Each value of the gradients is cut to ± this; before the norm.
    public var clipValue: Double?
    /// A batch goes through the network in pieces of at most this many examples, whose gradients are added up: the same step for
    /// less memory. (Batch norm sees the pieces, and a mean weighted by classes is one of each piece.)
    public var microBatchSize: Int?
    /// Keeps a moving average of the weights with this share of the past; validation and the result use it.
    public var averageDecay: Double?
    /// Products and convolutions of the forward pass take operands of this type of 16 bits (see `autocast`); f16 wants a
    /// `GradientScaler`, too.
    public var autocast: DType?
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
    /// Whether the next batch is made on another thread meanwhile; the source is asked by one thread at a time, in order.
    public var prefetches = false

    public init(epochs: Int, batchSize: Int, seed: UInt64 = 0) {
        self.epochs = epochs
        self.batchSize = batchSize
        self.seed = seed
    }

    /// What makes a run impossible.
    var fault: String? {
        if epochs <= 0 || batchSize <= 0 || patience.map({ $0 <= 0 }) ?? false {
            return "training of \(epochs) epochs in batches of \(batchSize) with a patience of "
                + "\(patience.map(String.init) ?? "no") epochs is impossible"
        }
        let sizes = [("micro batch", microBatchSize), ("validation batch", validationBatchSize)]
        for case (let name, let size?) in sizes where size <= 0 {
            return "a \(name) of \(size) examples is impossible"
        }
        for case (let name, let bound?) in [("norm", clipNorm), ("value", clipValue)] where !(bound > 0) {
            return "gradients cannot be clipped to \(name) \(bound)"
        }
        if let autocast, autocast != .f16, autocast != .bf16 { return "autocast to \(autocast) is impossible" }
        if let averageDecay, !(0..<1).contains(averageDecay) {
            return "a moving average with a share of the past of \(averageDecay) is not in 0 ..< 1"
        }
        return nil
    }
}

internal import Basics
package import Datasets
internal import NeuralNets

/// The settings that every recipe shares: optimizer, schedule, batches, stopping.
package struct TrainingPlan: Hashable, Sendable {
    package enum Optimizer: String, CaseIterable, Sendable { case adamw, sgd, adam, rmsprop, adagrad, lamb }
    package enum Schedule: String, CaseIterable, Sendable {
        case cosine, constant, step, linear
        case oneCycle = "one_cycle"
        case plateau
    }
    /// Of the weights of linear layers and convolutions, as torch.nn.init names them.
    package enum Initialization: String, CaseIterable, Sendable {
        case standard
        case kaimingNormal = "kaiming_normal"
        case kaimingUniform = "kaiming_uniform"
        case xavierNormal = "xavier_normal"
        case xavierUniform = "xavier_uniform"
        /// A normal distribution of deviation 1, far too wide: to see units saturate.
        case wide

        var initializer: Initializer {
            switch self {
            case .standard: .standard
            case .kaimingNormal: .kaimingNormal()
            case .kaimingUniform: .kaimingUniform()
            case .xavierNormal: .xavierNormal()
            case .xavierUniform: .xavierUniform()
            case .wide: .normal(deviation: 1)
            }
        }
    }

    package var epochs: Int
    package var batchSize: Int
    package var learningRate: Double
    package var optimizer: Optimizer
    package var momentum: Double
    /// Whether Adam and AdamW divide by the largest second moment so far.
    package var isAMSGrad: Bool
    package var weightDecay: Double
    package var schedule: Schedule
    /// Epochs between the drops of the schedule `step`, or without a better loss that `plateau` bears; 0 for their defaults.
    package var decayEpochs: Double
    /// What a drop of `step` or `plateau` multiplies the rate by.
    package var decayFactor: Double
    /// Epochs, fractions included, over which the learning rate rises from 0.
    package var warmUpEpochs: Double
    /// The share of the training split that is held out to stop early and to choose the best epoch; 0 for none.
    package var validationShare: Double
    /// Epochs without a better validation loss after which training stops; 0 for never.
    package var patience: Int
    package var labelSmoothing: Double
    /// Uses only about this many training examples, classes kept in proportion; 0 for all.
    package var exampleLimit: Int
    /// The L2 norm that all gradients together are scaled down to; 0 for never.
    package var clipNorm: Double
    /// What each number of the gradients is cut to, ±; 0 for never.
    package var clipValue: Double
    /// Examples of a batch that go through the network at once; 0 for all.
    package var microBatchSize: Int
    /// The share of the past in a moving average of the weights, which becomes the result; 0 for none.
    package var averageDecay: Double
    package var initialization: Initialization
    /// How pictures are changed anew in each epoch.
    package var augmentations: [Augmentation]

    package init(_ settings: HyperParameters) {
        epochs = settings.integer("epochs")
        batchSize = settings.integer("batch_size")
        learningRate = settings.number("learning_rate")
        optimizer = Optimizer(rawValue: settings.text("optimizer")) ?? .adamw
        momentum = settings.number("momentum")
        isAMSGrad = settings.boolean("amsgrad")
        weightDecay = settings.number("weight_decay")
        schedule = Schedule(rawValue: settings.text("schedule")) ?? .cosine
        decayEpochs = settings.number("decay_epochs")
        decayFactor = settings.number("decay_factor")
        warmUpEpochs = settings.number("warm_up_epochs")
        validationShare = settings.number("validation_share")
        patience = settings.integer("patience")
        labelSmoothing = settings.number("label_smoothing")
        exampleLimit = settings.integer("example_limit")
        clipNorm = settings.number("clip_norm")
        clipValue = settings.number("clip_value")
        microBatchSize = settings.integer("micro_batch_size")
        averageDecay = settings.number("average_decay")
        initialization = Initialization(rawValue: settings.text("initialization")) ?? .standard
        augmentations = TrainingPlan.augmentations(settings)
    }

    /// What the settings ask for, in the order in which it is done; a recipe without one of them has none.
    private static func augmentations(_ settings: HyperParameters) -> [Augmentation] {
        var list: [Augmentation] = []
        if settings.integer("crop") > 0 { list.append(.crop(padding: settings.integer("crop"))) }
        if settings.boolean("flip") { list.append(.flip()) }
        if settings.number("rotation") > 0 { list.append(.rotation(degrees: settings.number("rotation"))) }
        let (brightness, contrast) = (settings.number("brightness"), settings.number("contrast"))
        let saturation = settings.number("saturation")
        if brightness + contrast + saturation > 0 {
            list.append(.jitter(brightness: brightness, contrast: contrast, saturation: saturation))
        }
        if settings.integer("cutout") > 0 { list.append(.cutout(size: settings.integer("cutout"))) }
        // Of both, an example is mixed in one way: half of them by windows, the others by sums.
        if settings.number("cutmix") > 0 {
            list.append(.cutmix(alpha: settings.number("cutmix"), probability: 0.5))
        }
        if settings.number("mixup") > 0 { list.append(.mixup(alpha: settings.number("mixup"))) }
        return list
    }

    /// The examples to learn from and those held out, of a training split with these labels.
    func split(labels: [Int], seed: UInt64) -> (kept: [Int], heldOut: [Int]) {
        let used =
            exampleLimit > 0
            ? Splits.sample(labels: labels, count: exampleLimit, seed: seed) : Array(labels.indices)
        let split = Splits.stratified(labels: used.map { labels[$0] }, fraction: validationShare, seed: seed)
        return (split.kept.map { used[$0] }, split.heldOut.map { used[$0] })
    }

    /// The defaults of one recipe.
    package struct Defaults: Sendable {
        package var epochs: Int
        package var batchSize: Int
        package var learningRate: Double
        package var weightDecay: Double
        package var optimizer = Optimizer.adamw
        package var warmUpEpochs = 0.3
        package var validationShare = 0.0
        package var patience = 0
        package var initialization = Initialization.standard
    }
}

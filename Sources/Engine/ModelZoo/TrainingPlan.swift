internal import Basics
package import Datasets
internal import NeuralNets

/// The settings that every recipe shares: optimizer, schedule, batches, stopping.
package struct TrainingPlan: Hashable, Sendable {
    package enum Optimizer: String, CaseIterable, Sendable { case adamw, sgd, adam }
    package enum Schedule: String, CaseIterable, Sendable { case cosine, constant, step }
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
    package var weightDecay: Double
    package var schedule: Schedule
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
    package var initialization: Initialization
    /// How pictures are changed anew in each epoch.
    package var augmentations: [Augmentation]

    package init(_ settings: HyperParameters) {
        epochs = settings.integer("epochs")
        batchSize = settings.integer("batch_size")
        learningRate = settings.number("learning_rate")
        optimizer = Optimizer(rawValue: settings.text("optimizer")) ?? .adamw
        momentum = settings.number("momentum")
        weightDecay = settings.number("weight_decay")
        schedule = Schedule(rawValue: settings.text("schedule")) ?? .cosine
        warmUpEpochs = settings.number("warm_up_epochs")
        validationShare = settings.number("validation_share")
        patience = settings.integer("patience")
        labelSmoothing = settings.number("label_smoothing")
        exampleLimit = settings.integer("example_limit")
        clipNorm = settings.number("clip_norm")
        initialization = Initialization(rawValue: settings.text("initialization")) ?? .standard
        augmentations = []
        if settings.integer("crop") > 0 { augmentations.append(.crop(padding: settings.integer("crop"))) }
        if settings.boolean("flip") { augmentations.append(.flip()) }
        if settings.number("rotation") > 0 { augmentations.append(.rotation(degrees: settings.number("rotation"))) }
        if settings.integer("cutout") > 0 { augmentations.append(.cutout(size: settings.integer("cutout"))) }
    }

    /// The settings that change pictures.
    package static func augmentationParameters(crop: Int = 0, flip: Bool = false) -> [HyperParameter] {
        [
            HyperParameter(
                "crop", .integer(0...64), default: .int(Int64(crop)),
                "black pixels put around a picture before a random window of the old size is cut out"),
            HyperParameter("flip", .boolean, default: .bool(flip), "mirror half of the pictures, left to right"),
            HyperParameter("rotation", .number(0...180), default: 0, "degrees that pictures are turned by at most"),
            HyperParameter("cutout", .integer(0...128), default: 0, "side of a random square that is blanked"),
        ]
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

    /// The shared settings, with the defaults of one recipe.
    package static func parameters(_ defaults: Defaults) -> [HyperParameter] {
        loopParameters(defaults) + rateParameters(defaults)
    }

    private static func loopParameters(_ defaults: Defaults) -> [HyperParameter] {
        [
            HyperParameter(
                "epochs", .integer(1...10000), default: .int(Int64(defaults.epochs)), "passes over the training split"),
            HyperParameter(
                "batch_size", .integer(1...65536), default: .int(Int64(defaults.batchSize)), "examples of one step"),
            HyperParameter(
                "validation_share", .number(0...0.5), default: .double(defaults.validationShare),
                "share of the training split held out, by class, to choose the best epoch"),
            HyperParameter(
                "patience", .integer(0...10000), default: .int(Int64(defaults.patience)),
                "epochs without a better validation loss before training stops, 0 for never"),
            HyperParameter(
                "label_smoothing", .number(0...0.5), default: 0, "share of each label spread over all classes"),
            HyperParameter(
                "example_limit", .integer(0...1_000_000_000), default: 0, "training examples to use, 0 for all"),
        ]
    }

    private static func rateParameters(_ defaults: Defaults) -> [HyperParameter] {
        [
            HyperParameter(
                "learning_rate", .number(1e-8...1000), default: .double(defaults.learningRate),
                "the schedule's largest step size"),
            HyperParameter(
                "optimizer", .choice(Optimizer.allCases.map(\.rawValue)), default: .string(defaults.optimizer.rawValue),
                "AdamW, stochastic gradient descent with Nesterov momentum, or Adam"),
            HyperParameter("momentum", .number(0...0.999), default: 0.9, "of the optimizer sgd"),
            HyperParameter(
                "weight_decay", .number(0...1), default: .double(defaults.weightDecay), "pull of the weights towards 0"),
            HyperParameter(
                "schedule", .choice(Schedule.allCases.map(\.rawValue)), default: "cosine",
                "how the learning rate falls after the warm-up; step: to a tenth at half"),
            HyperParameter(
                "warm_up_epochs", .number(0...1000), default: .double(defaults.warmUpEpochs),
                "epochs over which the learning rate rises from 0"),
            HyperParameter(
                "clip_norm", .number(0...1e6), default: 0, "norm that the gradients are scaled down to, 0 for never"),
            HyperParameter(
                "initialization", .choice(Initialization.allCases.map(\.rawValue)),
                default: .string(defaults.initialization.rawValue),
                "of the weights; wide is a normal distribution of deviation 1, which saturates"),
        ]
    }
}

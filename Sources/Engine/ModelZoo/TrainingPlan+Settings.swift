internal import Basics

// What `mlops train --set` and `with: { settings: … }` take, beside what is a recipe's own.
extension TrainingPlan {
    /// The settings that change pictures.
    package static func augmentationParameters(crop: Int = 0, flip: Bool = false) -> [HyperParameter] {
        [
            HyperParameter(
                "crop", .integer(0...64), default: .int(Int64(crop)),
                "black pixels put around a picture before a random window of the old size is cut out"),
            HyperParameter("flip", .boolean, default: .bool(flip), "mirror half of the pictures, left to right"),
            HyperParameter("rotation", .number(0...180), default: 0, "degrees that pictures are turned by at most"),
            HyperParameter(
                "brightness", .number(0...1), default: 0,
                "pictures of bytes get brighter or darker by this share at most"),
            HyperParameter(
                "contrast", .number(0...1), default: 0, "the same for the contrast of pictures of bytes"),
            HyperParameter(
                "saturation", .number(0...1), default: 0, "the same for the colours of pictures of three channels"),
            HyperParameter("cutout", .integer(0...128), default: 0, "side of a random square that is blanked"),
            HyperParameter(
                "cutmix", .number(0...100), default: 0,
                "half of the pictures get a window of another one, its area by Beta(cutmix, cutmix); 0 for none"),
            mixupParameter,
        ]
    }

    /// The one augmentation that takes any numbers.
    package static let mixupParameter = HyperParameter(
        "mixup", .number(0...100), default: 0,
        "examples are averaged with another one, weighted by Beta(mixup, mixup), labels too; 0 for none")

    /// The shared settings, with the defaults of one recipe.
    package static func parameters(_ defaults: Defaults) -> [HyperParameter] {
        loopParameters(defaults) + rateParameters(defaults) + gradientParameters(defaults)
    }

    private static func loopParameters(_ defaults: Defaults) -> [HyperParameter] {
        [
            HyperParameter(
                "epochs", .integer(1...10000), default: .int(Int64(defaults.epochs)), "passes over the training split"),
            HyperParameter(
                "batch_size", .integer(1...65536), default: .int(Int64(defaults.batchSize)), "examples of one step"),
            HyperParameter(
                "micro_batch_size", .integer(0...65536), default: 0,
                "examples that go through the network at once, their gradients added up; 0 for the whole batch"),
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
                "sgd has Nesterov momentum; weight decay is apart from the gradient in adamw, in it in the others"),
            HyperParameter("momentum", .number(0...0.999), default: 0.9, "of the optimizers sgd and rmsprop"),
            HyperParameter(
                "amsgrad", .boolean, default: false, "adam and adamw divide by the largest second moment so far"),
            HyperParameter(
                "weight_decay", .number(0...1), default: .double(defaults.weightDecay), "pull of the weights towards 0"),
            HyperParameter(
                "schedule", .choice(Schedule.allCases.map(\.rawValue)), default: "cosine",
                "how the learning rate changes after the warm-up; one_cycle rises itself over three tenths"),
            HyperParameter(
                "decay_epochs", .number(0...10000), default: 0,
                "of schedule step: epochs between drops, 0 for one at half; of plateau: epochs that it bears, 0 for 3"),
            HyperParameter(
                "decay_factor", .number(0...0.999), default: 0.1,
                "what a drop of step or plateau multiplies the rate by"),
            HyperParameter(
                "warm_up_epochs", .number(0...1000), default: .double(defaults.warmUpEpochs),
                "epochs over which the learning rate rises from 0; not of one_cycle"),
        ]
    }

    private static func gradientParameters(_ defaults: Defaults) -> [HyperParameter] {
        [
            HyperParameter(
                "clip_norm", .number(0...1e6), default: 0, "norm that the gradients are scaled down to, 0 for never"),
            HyperParameter(
                "clip_value", .number(0...1e6), default: 0, "what each number of a gradient is cut to, 0 for never"),
            HyperParameter(
                "average_decay", .number(0...0.99999), default: 0,
                "share of the past in a moving average of the weights, which becomes the model; 0 for none"),
            HyperParameter(
                "initialization", .choice(Initialization.allCases.map(\.rawValue)),
                default: .string(defaults.initialization.rawValue),
                "of the weights; wide is a normal distribution of deviation 1, which saturates"),
        ]
    }
}

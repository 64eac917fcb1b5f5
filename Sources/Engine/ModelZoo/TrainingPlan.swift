internal import Basics

/// The settings that every recipe shares: optimizer, schedule, batches, stopping.
package struct TrainingPlan: Hashable, Sendable {
    package enum Optimizer: String, CaseIterable, Sendable { case adamw, sgd }
    package enum Schedule: String, CaseIterable, Sendable { case cosine, constant }

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
    }

    /// The shared settings, with the defaults of one recipe.
    package static func parameters(
        epochs: Int, batchSize: Int, learningRate: Double, weightDecay: Double, warmUpEpochs: Double,
        validationShare: Double, patience: Int
    ) -> [HyperParameter] {
        func int(_ value: Int) -> JSONValue { .int(Int64(value)) }
        return [
            HyperParameter("epochs", .integer(1...10000), default: int(epochs), "passes over the training split"),
            HyperParameter("batch_size", .integer(1...65536), default: int(batchSize), "examples of one step"),
            HyperParameter(
                "learning_rate", .number(1e-8...10), default: .double(learningRate), "the schedule's largest step size"),
            HyperParameter(
                "optimizer", .choice(Optimizer.allCases.map(\.rawValue)), default: "adamw",
                "AdamW, or stochastic gradient descent with Nesterov momentum"),
            HyperParameter("momentum", .number(0...0.999), default: 0.9, "of the optimizer sgd"),
            HyperParameter(
                "weight_decay", .number(0...1), default: .double(weightDecay), "pull of the weights towards 0"),
            HyperParameter(
                "schedule", .choice(Schedule.allCases.map(\.rawValue)), default: "cosine",
                "how the learning rate falls after the warm-up"),
            HyperParameter(
                "warm_up_epochs", .number(0...1000), default: .double(warmUpEpochs),
                "epochs over which the learning rate rises from 0"),
            HyperParameter(
                "validation_share", .number(0...0.5), default: .double(validationShare),
                "share of the training split held out, by class, to choose the best epoch"),
            HyperParameter(
                "patience", .integer(0...10000), default: int(patience),
                "epochs without a better validation loss before training stops, 0 for never"),
            HyperParameter(
                "label_smoothing", .number(0...0.5), default: 0, "share of each label spread over all classes"),
            HyperParameter(
                "example_limit", .integer(0...1_000_000_000), default: 0, "training examples to use, 0 for all"),
        ]
    }
}

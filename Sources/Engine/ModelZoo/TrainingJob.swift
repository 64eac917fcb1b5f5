package import Basics
package import Datasets
package import Interchange
internal import Tensors

/// What one epoch gave.
package struct EpochRecord: Codable, Hashable, Sendable {
    /// From 1.
    package var epoch: Int
    package var learningRate: Double
    package var trainLoss: Double
    package var trainAccuracy: Double
    /// Of the held-out share; nil without one.
    package var validationLoss: Double?
    package var validationAccuracy: Double?
    package var seconds: Double

    private enum CodingKeys: String, CodingKey {
        case epoch, seconds
        case learningRate = "learning_rate"
        case trainLoss = "train_loss"
        case trainAccuracy = "train_accuracy"
        case validationLoss = "validation_loss"
        case validationAccuracy = "validation_accuracy"
    }
}

/// A trained model and how it came to be.
package struct TrainedModel: Sendable {
    package var file: ModelFile
    package var history: [EpochRecord]
    /// The epoch whose weights were kept, from 1.
    package var bestEpoch: Int
    package var trainExampleCount: Int
    package var validationExampleCount: Int
    package var parameterCount: Int
    package var seconds: Double
    /// Before the first epoch and after each, if asked for.
    package var diagnoses: [NetworkDiagnosis] = []

    /// Writes the model to `path`, all or nothing.
    package func save(to path: String) throws { try file.write(to: path) }

    /// The numbers for a stage's metrics file.
    package var metrics: JSONValue {
        get throws {
            var result: [String: JSONValue] = [
                "epochs": .int(Int64(history.count)), "best_epoch": .int(Int64(bestEpoch)),
                "train_examples": .int(Int64(trainExampleCount)),
                "validation_examples": .int(Int64(validationExampleCount)),
                "parameters": .int(Int64(parameterCount)), "seconds": .double(seconds),
                "history": try JSONValue(encoding: history),
            ]
            if history.indices.contains(bestEpoch - 1) {
                let best = history[bestEpoch - 1]
                result["train_loss"] = .double(best.trainLoss)
                if let loss = best.validationLoss { result["validation_loss"] = .double(loss) }
                if let accuracy = best.validationAccuracy { result["validation_accuracy"] = .double(accuracy) }
            }
            if let last = diagnoses.last { result["diagnosis"] = last.summary }
            return .object(result)
        }
    }
}

/// Trains a recipe on a dataset folder. The same recipe, data, config and seed give the same model, whatever the number of
/// threads.
package struct TrainingJob: Sendable {
    package let recipe: any Recipe
    package let dataset: DatasetFolder
    package let settings: HyperParameters
    package let seed: UInt64
    /// That put batches together ahead of the steps; the result does not depend on them. nil lets the job decide.
    package var loaderThreads: Int?

    /// Checks everything that can be checked before the data are read.
    ///
    /// - Parameter config: settings of the recipe by name; null for all defaults.
    /// - Throws: kind `.usage` for a setting that the recipe does not take or a dataset of another kind.
    package init(recipe: any Recipe, dataset: DatasetFolder, config: JSONValue, seed: UInt64) throws {
        self.recipe = recipe
        self.dataset = dataset
        self.seed = seed
        settings = try HyperParameters(resolving: config, of: recipe.name, declared: recipe.hyperparameters)
        let kind = dataset.description.kind
        guard kind == recipe.kind else {
            let fitting = Recipes.all.filter { $0.kind == kind }.map { "`\($0.name)`" }
            throw MLOpsError(
                .usage,
                "recipe `\(recipe.name)` takes \(recipe.kind.rawValue) data, `\(dataset.path)` holds \(kind.rawValue)",
                hint: fitting.isEmpty ? nil : "use \(fitting.joined(separator: " or "))")
        }
    }

    /// Reads the training split, trains, and keeps the best epoch's weights.
    ///
    /// - Parameter progress: called after each epoch.
    /// - Throws: what the readers throw; kind `.failed` if the loss stops being finite.
    package func run(progress: (EpochRecord) -> Void = { _ in }) throws -> TrainedModel {
        try withoutActuallyEscaping(progress) { try run(TrainingObserver(epoch: $0)) }
    }

    /// The same, telling an observer more.
    package func run(_ observer: TrainingObserver) throws -> TrainedModel {
        guard let trace = observer.trace else { return try train(observer) }
        let (model, profile) = try OperationProfile.record { try train(observer) }
        try profile.writeChromeTrace(to: trace)
        return model
    }

    private func train(_ observer: TrainingObserver) throws -> TrainedModel {
        let clock = ContinuousClock()
        let start = clock.now
        let plan = TrainingPlan(settings)
        var split = (kept: [Int](), heldOut: [Int]())
        // What is held out has no say in means and deviations.
        let (encoding, examples) = try DatasetEncoding.fitting(dataset) { labels in
            split = plan.split(labels: labels, seed: seed)
            guard !split.kept.isEmpty else {
                throw MLOpsError(.usage, "the training split of `\(dataset.path)` has no examples left to learn from")
            }
            return split.kept
        }
        let architecture = try recipe.architecture(
            input: encoding.input.shape, classes: encoding.classes.count, settings: settings)
        _ = try architecture.shapes()
        let held = split.heldOut.isEmpty ? nil : examples.subset(split.heldOut)
        let outcome: NetworkTraining.Outcome
        switch recipe.method {
        case .gradientDescent:
            let training = NetworkTraining(
                architecture: architecture, plan: plan, seed: seed, training: examples.subset(split.kept),
                validation: held, classCount: encoding.classes.count,
                loaderThreads: loaderThreads ?? TrainingJob.loaderThreads(plan))
            outcome = try training.run(observer)
        case .perceptronRule:
            let training = PerceptronTraining(
                settings: settings, seed: seed, training: examples.subset(split.kept), validation: held,
                classes: encoding.classes.count)
            outcome = try training.run(observer)
        }
        let description = ModelFile.Description(
            precision: .float32, recipe: recipe.name, architecture: architecture,
            input: try JSONValue(encoding: encoding.input), classes: encoding.classes,
            positiveClass: encoding.positiveClass, hyperparameters: settings.json, seed: seed)
        return TrainedModel(
            file: ModelFile(description: description, tensors: outcome.state), history: outcome.history,
            bestEpoch: outcome.bestEpoch, trainExampleCount: split.kept.count,
            validationExampleCount: split.heldOut.count, parameterCount: outcome.parameterCount,
            seconds: (clock.now - start).seconds, diagnoses: outcome.diagnoses)
    }

    /// Threads of their own pay where pictures are changed and there is a second core: on two busy cores an epoch of 4,096 pictures that
    /// are shifted and turned took the MLP 0.12 s instead of 0.15, LeNet-5 0.32 instead of 0.38. Copying or mixing alone is quicker
    /// than telling a thread to do it.
    private static func loaderThreads(_ plan: TrainingPlan) -> Int {
        plan.augmentations.contains { !$0.mixesTargets } && EngineThreads.count > 1 ? 2 : 0
    }
}

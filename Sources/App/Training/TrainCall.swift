package import Basics
internal import Datasets
internal import Inference
package import ModelZoo
internal import Interchange

/// A training outside of a pipeline: what `mlops train` was given.
package struct TrainCall: Sendable {
    package var recipe: String
    /// The dataset's folder, absolute.
    package var data: String
    /// Where the model file goes, absolute.
    package var output: String
    /// Settings of the recipe by name.
    package var settings: [String: JSONValue]
    package var seed: UInt64
    /// Whether layers are diagnosed.
    package var diagnoses: Bool
    /// Whether to go on from the checkpoint that an interrupted run left.
    package var resumes = false
    /// Whether a checkpoint of another training is passed over, rather than refused.
    package var startsOver = false
    /// Where an interrupted run leaves its state, absolute; nil keeps none.
    package var checkpoint: String?
    /// Whether the model is measured on the split `test`, if there is one.
    package var measuresTest = true
    /// The folder of the plots, absolute; nil for none.
    package var plots: String?
    /// The folder of TensorBoard's event file, absolute; nil for none.
    package var tensorBoard: String?
    /// The file that gets a trace of the operations, absolute; nil for none.
    package var trace: String?

    package init(recipe: String, data: String, output: String, settings: [String: JSONValue], seed: UInt64) {
        self.recipe = recipe
        self.data = data
        self.output = output
        self.settings = settings
        self.seed = seed
        diagnoses = false
        checkpoint = output + ".checkpoint"
    }

    /// Trains, measures the model on the split `test` if there is one, writes the model and the plots.
    ///
    /// - Throws: kind `.notFound` for a recipe that does not exist, kind `.usage` for settings or data that do not fit it.
    package func run(
        step: @escaping (TrainingStep) -> Void, epoch: @escaping (EpochRecord) -> Void
    ) throws -> TrainReport { try train(step: step, epoch: epoch).report }

    /// The same, and gives the model, too.
    package func train(
        step: @escaping (TrainingStep) -> Void, epoch: @escaping (EpochRecord) -> Void
    ) throws -> (model: TrainedModel, report: TrainReport) {
        let recipe = try Recipes.named(recipe)
        let dataset = try DatasetFolder(data)
        let job = try TrainingJob(recipe: recipe, dataset: dataset, config: .object(settings), seed: seed)
        let curves = try tensorBoard.map { try TensorBoardWriter(folder: $0) }
        var observer = TrainingObserver(diagnoses: diagnoses, step: step) { record in
            // The curves are for people: a full disk must not end the training.
            try? curves?.add(record.curveValues, step: Int64(record.epoch))
            epoch(record)
        }
        observer.checkpoint = checkpoint
        observer.resumes = resumes
        observer.startsOver = startsOver
        observer.trace = trace
        for path in [output, checkpoint].compactMap(\.self) {
            try FileSystem.createDirectories(FileSystem.parent(of: path))
        }
        let model = try job.run(observer)
        try model.save(to: output)
        if let checkpoint { try FileSystem.removeFile(checkpoint) }
        var report = TrainReport(model, recipe: recipe.name, seed: seed, output: output)
        let predictor = try Predictor(model.file, path: output)
        if measuresTest, dataset.description.splits["test"] != nil {
            let evaluation = try predictor.evaluate(dataset, split: "test")
            report.testAccuracy = evaluation.accuracy
            report.testExamples = evaluation.count
            report.confusion = ConfusionMatrix(
                classes: evaluation.classes, labels: evaluation.labels, guesses: evaluation.predictions)
        }
        if let plots {
            let drawings = try TrainingPlots(model: model, report: report, predictor: predictor, dataset: dataset)
            report.plots = try drawings.write(to: plots)
        }
        return (model, report)
    }
}

/// What a training gave.
package struct TrainReport: Encodable, Sendable {
    package var recipe: String
    package var model: String
    package var seed: UInt64
    package var epochs: Int
    package var bestEpoch: Int
    package var parameters: Int
    package var trainExamples: Int
    package var seconds: Double
    package var history: [EpochRecord]
    package var testAccuracy: Double?
    package var testExamples: Int?
    package var confusion: ConfusionMatrix?
    package var diagnoses: [NetworkDiagnosis]
    /// What stands out in the last diagnosis.
    package var findings: [String]
    package var plots: [String] = []

    private enum CodingKeys: String, CodingKey {
        case recipe, model, seed, epochs, parameters, seconds, history, confusion, diagnoses, findings, plots
        case bestEpoch = "best_epoch"
        case trainExamples = "train_examples"
        case testAccuracy = "test_accuracy"
        case testExamples = "test_examples"
    }

    init(_ model: TrainedModel, recipe: String, seed: UInt64, output: String) {
        self.recipe = recipe
        self.model = output
        self.seed = seed
        epochs = model.history.count
        bestEpoch = model.bestEpoch
        parameters = model.parameterCount
        trainExamples = model.trainExampleCount
        seconds = model.seconds
        history = model.history
        diagnoses = model.diagnoses
        findings = model.diagnoses.last?.findings ?? []
    }
}

internal import Audits
package import Basics
internal import Datasets
internal import Inference
internal import Interchange
package import Pipelines
internal import Workspaces

/// `uses: test`: asks a model for every example of a split, and reports how right it was; keeps the result of each example.
package struct TestStep: BuiltInStep {
    private let workspace: Workspace

    init(workspace: Workspace) { self.workspace = workspace }

    package let name = "test"
    package let version = 1
    package let summary = "measure a model on a split of a dataset"

    package let parameters = [
        StepParameter("model", .string, required: true, "the model file, float or int8"),
        StepParameter("data", .string, required: true, "the dataset: its folder, or an artifact's name"),
        StepParameter("split", .string, default: "test", "the split to measure on"),
        StepParameter("predictions", .string, "where to write the result of each example, as CSV"),
    ]

    private struct Settings: Decodable {
        var model: RelativePath
        var data: String
        var split: String
        var predictions: RelativePath?
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        return StepPlan(
            deps: [settings.model.description, try workspace.folder(ofDataset: settings.data)],
            outs: settings.predictions.map { [$0.description] } ?? [])
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        let predictor = try Predictor(path: FileSystem.absolute(settings.model.description, from: context.root))
        let evaluation = try predictor.evaluate(try workspace.dataset(settings.data), split: settings.split)
            .positiveLast
        let probabilities = evaluation.probabilities.map(Double.init)
        let audit = try ClassificationAudit(
            probabilities: probabilities, labels: evaluation.labels, classes: evaluation.classes)
        var metrics = try JSONValue(encoding: audit.report).object ?? [:]
        metrics["model_precision"] = .string(predictor.description.precision.rawValue)
        if let path = settings.predictions {
            let text = PredictionFile.text(
                audit: audit, probabilities: probabilities, labels: evaluation.labels, groups: evaluation.groups)
            try context.write(text, to: path.description)
            metrics["samples"] = [
                "accuracy": [
                    "file": .string(path.description), "column": "correct",
                    "digest": .string(Digest.of(text).description),
                ]
            ]
        }
        let area = metrics["auc"]?.number.map { ", AUC \(Format.fixed($0, 4))" } ?? ""
        context.log(
            "\(settings.split): accuracy \(Format.fixed(audit.report.accuracy, 4))\(area) over "
                + Format.count(evaluation.count, "example"))
        try context.writeMetrics(.object(metrics))
    }
}

extension Evaluation {
    /// The same with the positive class of a binary problem as class 1, as audits count.
    var positiveLast: Evaluation {
        guard positiveIndex == 0 else { return self }
        var swapped = self
        swapped.classes.reverse()
        swapped.positiveIndex = 1
        swapped.labels = labels.map { 1 - $0 }
        for row in labels.indices { swapped.probabilities.swapAt(2 * row, 2 * row + 1) }
        return swapped
    }
}

internal import ArtifactRegistry
package import Basics
internal import Datasets
internal import Interchange
internal import ModelZoo
package import Pipelines
internal import Workspaces

/// `uses: train`: trains a recipe on a dataset with the engine, and writes the model file.
package struct TrainStep: BuiltInStep {
    private let workspace: Workspace

    init(workspace: Workspace) { self.workspace = workspace }

    package let name = "train"
    package let version = 2
    package let summary = "train a recipe on a dataset"

    package let parameters = [
        StepParameter("recipe", .string, required: true, "the recipe, such as `tabular/mlp`"),
        StepParameter("data", .string, required: true, "the dataset: its folder, or an artifact's name"),
        StepParameter("model", .string, required: true, "where to write the model file"),
        StepParameter("seed", .int, default: 0, "of the split, the first weights and the order of examples"),
        StepParameter(
            "settings", .map, default: [:], "the recipe's hyper-parameters, where they differ from its defaults"),
        StepParameter(
            "diagnose", .bool, default: false,
            "measure the shares of dead and saturated units and the gradients' norms of each layer"),
        StepParameter("plots", .string, "the folder for learning curve, confusion matrix and more"),
        StepParameter(
            "resume", .bool, default: false,
            "keep the state after each epoch, and go on from that of a run that was cut short"),
    ]

    private struct Settings: Decodable {
        var recipe: String
        var data: String
        var model: RelativePath
        var seed: UInt64
        var settings: JSONValue
        var diagnose: Bool
        var plots: RelativePath?
        var resume: Bool
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        let recipe: any Recipe
        do {
            recipe = try Recipes.named(settings.recipe)
        } catch let error as MLOpsError {
            // In a spec a wrong name is a wrong spec.
            throw MLOpsError(.usage, error.message, hint: error.hint)
        }
        _ = try HyperParameters(resolving: settings.settings, of: recipe.name, declared: recipe.hyperparameters)
        return StepPlan(
            deps: [try workspace.folder(ofDataset: settings.data)],
            outs: [settings.model.description] + (settings.plots.map { [$0.description] } ?? []))
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        var call = TrainCall(
            recipe: settings.recipe, data: try workspace.dataset(settings.data).path,
            output: FileSystem.absolute(settings.model.description, from: context.root),
            settings: settings.settings.object ?? [:], seed: settings.seed)
        call.tensorBoard = FileSystem.join(context.folder, "tensorboard")
        call.diagnoses = settings.diagnose
        call.plots = settings.plots.map { FileSystem.absolute($0.description, from: context.root) }
        // Measuring is a step of its own; the drawings need it.
        call.measuresTest = settings.plots != nil
        call.checkpoint = settings.resume ? TrainStep.checkpoint(of: settings.model, root: context.root) : nil
        call.resumes = settings.resume
        call.startsOver = true
        let (model, report) = try call.train(step: { _ in }) { record in
            let validation = record.validationLoss.map { loss in
                ", validation loss \(Format.fixed(loss, 4))"
                    + (record.validationAccuracy.map { ", accuracy \(Format.fixed($0, 4))" } ?? "")
            }
            context.log(
                "epoch \(record.epoch): loss \(Format.fixed(record.trainLoss, 4))\(validation ?? "") "
                    + "(\(Format.duration(.seconds(record.seconds))))")
        }
        for finding in report.findings { context.log("finding: \(finding)") }
        context.log("kept epoch \(model.bestEpoch), \(model.parameterCount) parameters")
        try context.writeMetrics(try model.metrics)
    }

    /// Where the state of a training that writes `model` is kept: out of git's sight, one place a model.
    private static func checkpoint(of model: RelativePath, root: String) -> String {
        FileSystem.join(root, ".mlops/training/\(Digest.of(model.description).description.suffix(16)).checkpoint")
    }
}

extension EpochRecord {
    /// What TensorBoard shows of it, by tag.
    var curveValues: [String: Double] {
        var values = ["loss/train": trainLoss, "accuracy/train": trainAccuracy, "learning_rate": learningRate]
        values["loss/validation"] = validationLoss
        values["accuracy/validation"] = validationAccuracy
        return values
    }
}

extension Workspace {
    /// The folder of a dataset, from the root: `name` itself, or where the artifact of that name lies.
    func folder(ofDataset name: String) throws -> String {
        if let artifact = try? ArtifactName(name), let pointer = try pointer(of: artifact) {
            return pointer.path.description
        }
        return try RelativePath(name).description
    }

    /// The dataset that `name` means.
    func dataset(_ name: String) throws -> DatasetFolder { try DatasetFolder(absolute(try folder(ofDataset: name))) }
}

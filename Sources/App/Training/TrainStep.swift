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
    package let version = 1
    package let summary = "train a recipe on a dataset"

    package let parameters = [
        StepParameter("recipe", .string, required: true, "the recipe, such as `tabular/mlp`"),
        StepParameter("data", .string, required: true, "the dataset: its folder, or an artifact's name"),
        StepParameter("model", .string, required: true, "where to write the model file"),
        StepParameter("seed", .int, default: 0, "of the split, the first weights and the order of examples"),
        StepParameter(
            "settings", .map, default: [:], "the recipe's hyper-parameters, where they differ from its defaults"),
    ]

    private struct Settings: Decodable {
        var recipe: String
        var data: String
        var model: RelativePath
        var seed: UInt64
        var settings: JSONValue
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
            deps: [try workspace.folder(ofDataset: settings.data)], outs: [settings.model.description])
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        let dataset = try workspace.dataset(settings.data)
        let job = try TrainingJob(
            recipe: try Recipes.named(settings.recipe), dataset: dataset, config: settings.settings, seed: settings.seed
        )
        let curves = try TensorBoardWriter(folder: FileSystem.join(context.folder, "tensorboard"))
        let model = try job.run { record in
            // The curves are for people: a full disk must not end the training.
            try? curves.add(record.curveValues, step: Int64(record.epoch))
            let validation = record.validationLoss.map { loss in
                ", validation loss \(Format.fixed(loss, 4))"
                    + (record.validationAccuracy.map { ", accuracy \(Format.fixed($0, 4))" } ?? "")
            }
            context.log(
                "epoch \(record.epoch): loss \(Format.fixed(record.trainLoss, 4))\(validation ?? "") "
                    + "(\(Format.duration(.seconds(record.seconds))))")
        }
        context.log("kept epoch \(model.bestEpoch), \(model.parameterCount) parameters")
        let path = FileSystem.absolute(settings.model.description, from: context.root)
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        try model.save(to: path)
        try context.writeMetrics(try model.metrics)
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

internal import ArtifactRegistry
internal import Audits
package import Basics
internal import ContentStorage
internal import Datasets
internal import Interchange
package import Pipelines
internal import Workspaces

/// `uses: card`: writes a model card from what the stages before it measured and what `about` says in words.
package struct CardStep: BuiltInStep {
    private let workspace: Workspace

    init(workspace: Workspace) { self.workspace = workspace }

    package let name = "card"
    package let version = 1
    package let summary = "write a model card from what was measured"

    package let parameters = [
        StepParameter("model", .string, required: true, "the model file that the card is about"),
        StepParameter("data", .string, "the dataset: its folder, or an artifact's name"),
        StepParameter("to", .string, required: true, "where to write the card, as Markdown"),
        StepParameter("about", .string, "a YAML file with what no measurement can know: uses, limits, licence"),
        StepParameter("name", .string, "the model's name; by default the card's folder"),
    ]

    private struct Settings: Decodable {
        var model: RelativePath
        var data: String?
        var to: RelativePath
        var about: RelativePath?
        var name: String?

        /// `models/census` for a card at `models/census/README.md`.
        var title: String { name ?? FileSystem.parent(of: to.description) }
    }

    package func plan(_ with: JSONValue, stage: String, environment: StepPlanning) throws -> StepPlan {
        let settings: Settings = try decodeSettings(with)
        var deps = [settings.model.description]
        if let data = settings.data { deps.append(try workspace.folder(ofDataset: data)) }
        if let about = settings.about { deps.append(about.description) }
        return StepPlan(deps: deps, outs: [settings.to.description], readsMetrics: true, readsEnergy: true)
    }

    package func run(_ context: StepContext) async throws {
        let settings: Settings = try decodeSettings(context.with)
        var input = ModelCardInput(name: settings.title)
        if let about = settings.about {
            try CardText(path: absolute(about, context), name: about.description).fill(&input)
        }
        try describeModel(at: absolute(settings.model, context), in: &input)
        if let data = settings.data { try describe(data, in: &input) }
        CardMeasurements(metrics: context.metrics).fill(&input)
        input.pipeline = context.pipeline
        input.run = context.runID
        input.gitCommit = context.provenance["git"]?["commit"]?.string
        input.gitIsDirty = context.provenance["git"]?["dirty"]?.boolean
        input.getStarted = [
            "mlops registry pull \(settings.title)", "mlops registry show \(settings.title)",
        ]
        let text = ModelCard(input).markdown
        try context.write(text, to: settings.to.description)
        context.log("wrote \(settings.to)")
    }

    private func absolute(_ path: RelativePath, _ context: StepContext) -> String {
        FileSystem.absolute(path.description, from: context.root)
    }

    private func describeModel(at path: String, in input: inout ModelCardInput) throws {
        let model = try ModelFile(path: path)
        input.recipe = model.description.recipe
        input.hyperparameters = model.description.hyperparameters.object ?? [:]
        let layers = model.description.architecture.layers.map(\.type).joined(separator: ", ")
        input.architecture = "\(model.description.recipe): \(layers)"
        input.pipelineTag =
            model.description.architecture.input.count == 1 ? "tabular-classification" : "image-classification"
        var form = CardForm(name: model.description.precision.rawValue)
        let bytes = try FileSystem.read(path)
        form.digest = Digest.of(bytes)
        form.byteCount = Int64(bytes.count)
        input.forms = [form]
    }

    private func describe(_ name: String, in input: inout ModelCardInput) throws {
        let path = try RelativePath(try workspace.folder(ofDataset: name))
        let dataset = try workspace.dataset(name)
        let pointer = try workspace.pointer(at: path)
        var data = CardDataset(name: pointer?.artifact.description ?? dataset.description.name)
        data.digest = pointer?.content.digest
        data.license = dataset.description.licence
        data.source = dataset.description.source
        var training = data
        training.split = "train"
        data.split = "test"
        input.trainingData = [training]
        input.testData = data
    }
}

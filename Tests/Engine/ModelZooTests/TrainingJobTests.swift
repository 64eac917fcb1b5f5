import Basics
import Datasets
import Interchange
import ModelZoo
import TestSupport
import Tensors
import Testing

/// Two numbers and a category decide a label; 600 rows with some noise.
private func makeTable(_ folder: TemporaryFolder) throws -> DatasetFolder {
    var random = Philox(seed: 12)
    func rows(_ count: Int) -> String {
        var text = ""
        for _ in 0..<count {
            let (a, b) = (random.nextUniform() * 10, random.nextUniform() - 0.5)
            let colour = ["red", "blue", "?"][random.nextIndex(below: 3)]
            let score = a / 5 - 1 + 2 * b + (colour == "red" ? 0.5 : 0) + (random.nextUniform() - 0.5) * 0.3
            text += "\(a),\(b),\(colour),\(score > 0.2 ? "yes" : "no")\n"
        }
        return text
    }
    try folder.write("train.csv", rows(600))
    try folder.write("test.csv", rows(200))
    var description = DatasetDescription(
        kind: .tabular, name: "scores",
        splits: ["train": .init(files: ["train.csv"]), "test": .init(files: ["test.csv"])])
    description.columns = [
        .init(name: "a", type: .numeric), .init(name: "b", type: .numeric), .init(name: "colour", type: .categorical),
        .init(name: "label", type: .categorical),
    ]
    description.label = .init(column: "label", positive: "yes")
    description.sensitive = ["colour"]
    description.missing = "?"
    try description.write(to: folder.path)
    return try DatasetFolder(folder.path)
}

private let quick: JSONValue = ["epochs": 6, "batch_size": 32, "hidden": [16], "dropout": 0.1, "learning_rate": 0.01]

@Suite struct TrainingJobTests {
    private let folder: TemporaryFolder
    private let dataset: DatasetFolder

    init() throws {
        folder = try TemporaryFolder()
        dataset = try makeTable(folder)
    }

    @Test func aSmallTableIsLearned() throws {
        var seen: [Int] = []
        let job = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: quick, seed: 1)
        let model = try job.run { seen.append($0.epoch) }
        #expect(seen == model.history.map(\.epoch))
        #expect(model.trainExampleCount == 540 && model.validationExampleCount == 60)
        let accuracy = try #require(model.history.last?.validationAccuracy)
        #expect(accuracy > 0.85)
        #expect(model.file.description.classes == ["no", "yes"])
        #expect(model.file.description.hyperparameters["hidden"] == [16])
        let metrics = try model.metrics
        #expect(metrics["best_epoch"]?.integer == model.bestEpoch)
        #expect(metrics["validation_accuracy"]?.number != nil)
    }

    @Test func theSameSeedGivesTheSameBytesWhateverTheThreads() throws {
        func bytes(seed: UInt64, threads: Int) throws -> [UInt8] {
            let before = EngineThreads.count
            EngineThreads.count = threads
            defer { EngineThreads.count = before }
            let job = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: quick, seed: seed)
            try job.run().save(to: folder("m.safetensors"))
            return try folder.read("m.safetensors")
        }
        let first = try bytes(seed: 5, threads: 1)
        #expect(try bytes(seed: 5, threads: 2) == first)
        #expect(try bytes(seed: 6, threads: 2) != first)
    }

    @Test func trainingStopsWhenValidationNoLongerImproves() throws {
        let config: JSONValue = [
            "epochs": 200, "patience": 2, "learning_rate": 0.02, "hidden": [32], "dropout": 0, "batch_size": 64,
            "validation_share": 0.2,
        ]
        let model = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: config, seed: 2).run()
        #expect(model.history.count < 200)
        #expect(model.bestEpoch == model.history.count - 2)
        let losses = model.history.compactMap(\.validationLoss)
        #expect(losses[model.bestEpoch - 1] == losses.min())
    }

    @Test func anExampleLimitKeepsTheClassesShares() throws {
        let config: JSONValue = ["epochs": 1, "example_limit": 100, "validation_share": 0]
        let model = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: config, seed: 2).run()
        #expect((99...101).contains(model.trainExampleCount))
        #expect(model.history[0].validationLoss == nil && model.bestEpoch == 1)
    }

    @Test func aRecipeForPicturesDoesNotTakeATable() throws {
        let error = try #require(throws: MLOpsError.self) {
            try TrainingJob(recipe: LeNet5(), dataset: dataset, config: nil, seed: 0)
        }
        #expect(
            error.message.contains("takes images data") && error.hint == "use `tabular/perceptron` or `tabular/mlp`")
    }

    @Test func aLearningRateThatExplodesIsNoModel() throws {
        let config: JSONValue = [
            "epochs": 20, "optimizer": "sgd", "learning_rate": 10, "batch_norm": false, "hidden": [64, 64, 64, 64],
            "warm_up_epochs": 0, "dropout": 0, "weight_decay": 1,
        ]
        let error = try #require(throws: MLOpsError.self) {
            try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: config, seed: 2).run()
        }
        #expect(error.message.contains("not finite"))
        #expect(error.hint?.contains("learning rate") == true)
    }
}

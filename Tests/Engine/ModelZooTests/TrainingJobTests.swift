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

    @Test func theThreadsThatMakeBatchesAheadChangeNothing() throws {
        let config: JSONValue = [
            "epochs": 3, "batch_size": 32, "hidden": [16], "mixup": 0.4, "validation_share": 0.1,
            "micro_batch_size": 20,
        ]
        func bytes(threads: Int) throws -> [UInt8] {
            var job = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: config, seed: 4)
            job.loaderThreads = threads
            try job.run().save(to: folder("m.safetensors"))
            return try folder.read("m.safetensors")
        }
        let alone = try bytes(threads: 0)
        for threads in [1, 3] { #expect(try bytes(threads: threads) == alone, "\(threads) threads") }
    }

    /// Each setting changes what is learned, and the network still learns.
    @Test(
        arguments: [
            ["optimizer": "rmsprop", "learning_rate": 0.002], ["optimizer": "adagrad", "learning_rate": 0.05],
            ["optimizer": "lamb", "learning_rate": 0.02], ["optimizer": "sgd", "learning_rate": 0.1],
            ["optimizer": "adam"], ["amsgrad": true], ["schedule": "one_cycle"], ["schedule": "linear"],
            ["schedule": "constant"], ["schedule": "step", "decay_epochs": 2, "decay_factor": 0.5],
            ["schedule": "plateau", "decay_epochs": 1, "warm_up_epochs": 0], ["average_decay": 0.9], ["clip_norm": 0.1],
            ["clip_value": 0.01], ["micro_batch_size": 8], ["label_smoothing": 0.1], ["mixup": 0.3],
        ] as [JSONValue])
    func aSettingOfTheTrainingTakesEffect(_ settings: JSONValue) throws {
        let plain = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: quick, seed: 1).run()
        let config = JSONValue.object((quick.object ?? [:]).merging(settings.object ?? [:]) { $1 })
        let model = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: config, seed: 1).run()
        #expect(model.file.tensors["0.weight"]?.floats() != plain.file.tensors["0.weight"]?.floats())
        #expect(try #require(model.history.last?.validationAccuracy) > 0.8)
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

    @Test func whatIsHeldOutHasNoSayInTheNormalisation() throws {
        let labels = try DatasetEncoding.fitting(dataset).training.labels
        let split = Splits.stratified(labels: labels, fraction: 0.1, seed: 3)
        let lines = String(decoding: try folder.read("train.csv"), as: UTF8.self).split(separator: "\n")
        /// The mean of column `a` in the model, with row `outlier` far away.
        func mean(outlier: Int?) throws -> Double {
            var lines = lines
            if let outlier { lines[outlier] = Substring("1e9" + lines[outlier].drop { $0 != "," }) }
            try folder.write("train.csv", lines.joined(separator: "\n") + "\n")
            let config: JSONValue = ["epochs": 1, "validation_share": 0.1]
            let model = try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: config, seed: 3).run()
            let input: InputEncoding = try model.file.description.input.decode()
            guard case .tabular(let encoder) = input else { return .nan }
            return encoder.fields[0].mean ?? .nan
        }
        let plain = try mean(outlier: nil)
        #expect((0...10).contains(plain))
        #expect(try mean(outlier: split.heldOut[0]) == plain)
        #expect(try mean(outlier: split.kept[0]) > 1e6)
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

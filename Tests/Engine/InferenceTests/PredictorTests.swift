import Basics
import Datasets
import Inference
import Interchange
import ModelZoo
import Quantization
import TestSupport
import Tensors
import Testing

/// Pictures of 16 × 16 with a bright bar: lying (0) or standing (1).
private func makeBars(_ folder: TemporaryFolder) throws -> DatasetFolder {
    func idx(_ shape: [Int], _ values: [UInt8]) -> [UInt8] {
        let sizes: [UInt8] = shape.flatMap { [0, 0, UInt8($0 >> 8), UInt8($0 & 255)] }
        return [0, 0, 8, UInt8(shape.count)] + sizes + values
    }
    for (name, count, seed) in [("train", 400, 1), ("test", 100, 2)] {
        var random = Philox(seed: UInt64(seed))
        var pixels: [UInt8] = []
        var labels: [UInt8] = []
        for example in 0..<count {
            var picture: [UInt8] = []
            for _ in 0..<256 { picture.append(UInt8(random.nextIndex(below: 60))) }
            let (line, start) = (random.nextIndex(below: 16), random.nextIndex(below: 8))
            for k in start..<(start + 8) { picture[example % 2 == 0 ? line * 16 + k : k * 16 + line] = 255 }
            pixels += picture
            labels.append(UInt8(example % 2))
        }
        try folder.write("\(name)-images", idx([count, 16, 16], pixels))
        try folder.write("\(name)-labels", idx([count], labels))
    }
    var description = DatasetDescription(
        kind: .images, name: "bars",
        splits: [
            "train": .init(images: "train-images", labels: "train-labels"),
            "test": .init(images: "test-images", labels: "test-labels"),
        ])
    description.classes = ["lying", "standing"]
    try description.write(to: folder.path)
    return try DatasetFolder(folder.path)
}

@Suite struct PredictorTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func trainedTable() throws -> (Predictor, DatasetFolder) {
        var random = Philox(seed: 3)
        var text = ""
        for _ in 0..<400 {
            let (age, sex) = (random.nextIndex(below: 60) + 18, ["f", "m"][random.nextIndex(below: 2)])
            text += "\(age),\(sex),\(age > 45 ? "old" : "young")\n"
        }
        try folder.write("a.csv", text)
        var description = DatasetDescription(
            kind: .tabular, name: "ages", splits: ["train": .init(files: ["a.csv"]), "test": .init(files: ["a.csv"])])
        description.columns = [
            .init(name: "age", type: .numeric), .init(name: "sex", type: .categorical),
            .init(name: "label", type: .categorical),
        ]
        description.label = .init(column: "label", positive: "old")
        description.sensitive = ["sex"]
        try description.write(to: folder.path)
        let dataset = try DatasetFolder(folder.path)
        let config: JSONValue = ["epochs": 12, "batch_size": 32, "hidden": [16], "learning_rate": 0.02]
        try TrainingJob(recipe: TabularMLP(), dataset: dataset, config: config, seed: 1).run()
            .save(to: folder("float.safetensors"))
        return (try Predictor(path: folder("float.safetensors")), dataset)
    }

    @Test func aTableGoesFromTrainingToFloatAndInt8Answers() throws {
        let (predictor, dataset) = try trainedTable()
        #expect(predictor.description.classes == ["young", "old"])
        let prediction = try predictor.predict(records: [["age": 70, "sex": "f"], ["age": "20", "sex": "x"]])
        #expect(prediction.count == 2 && prediction.best(0) == 1 && prediction.best(1) == 0)
        #expect(abs(prediction.row(0).reduce(0, +) - 1) < 1e-6)
        let report = try QuantizationJob.run(
            modelAt: folder("float.safetensors"), dataset: dataset, options: .init(sampleCount: 200),
            output: folder("int8.safetensors"))
        #expect(report.floatAccuracy > 0.95 && abs(report.accuracyChange) < 0.02 && report.agreement > 0.97)
        #expect(report.layers.allSatisfy { ($0.sqnrDecibels ?? 100) > 25 })
        let integers = try Predictor(path: folder("int8.safetensors"))
        #expect(integers.description.precision == .int8)
        #expect(integers.description.quantizedFrom == Digest.of(try folder.read("float.safetensors")).description)
        #expect(try integers.predict(records: [["age": 70, "sex": "f"]]).best(0) == 1)
    }

    @Test func anEvaluationKeepsScoresLabelsAndGroupsInOrder() throws {
        let (predictor, dataset) = try trainedTable()
        let evaluation = try predictor.evaluate(dataset, split: "test")
        let rows = String(decoding: try folder.read("a.csv"), as: UTF8.self).split(separator: "\n")
        #expect(evaluation.count == 400 && evaluation.positiveIndex == 1)
        #expect(evaluation.groups["sex"] == rows.map { String($0.split(separator: ",")[1]) })
        #expect(evaluation.labels == rows.map { $0.hasSuffix("old") ? 1 : 0 })
        let area = try #require(evaluation.areaUnderCurve)
        #expect(area > 0.98)
        #expect(evaluation.positiveScores?.count == 400)
    }

    @Test func theAreaUnderTheCurveCountsTiesHalf() {
        let evaluation = Evaluation(
            classes: ["n", "p"], positiveIndex: 1, labels: [0, 0, 1, 1, 1],
            probabilities: [0.9, 0.1, 0.6, 0.4, 0.6, 0.4, 0.2, 0.8, 0.95, 0.05], groups: [:], seconds: 0)
        // Pairs: 4 of 6 right (0.4 tie counts ½ with one, right with the other; 0.8 beats both; 0.05 loses both).
        #expect(evaluation.areaUnderCurve == 3.5 / 6)
    }

    @Test func picturesGoFromTrainingToFloatAndInt8Answers() throws {
        let dataset = try makeBars(folder)
        let config: JSONValue = ["epochs": 4, "batch_size": 32]
        let model = try TrainingJob(recipe: LeNet5(), dataset: dataset, config: config, seed: 1).run()
        try model.save(to: folder("float.safetensors"))
        let predictor = try Predictor(path: folder("float.safetensors"))
        let evaluation = try predictor.evaluate(dataset, split: "test")
        #expect(evaluation.accuracy > 0.9)
        let report = try QuantizationJob.run(
            modelAt: folder("float.safetensors"), dataset: dataset, options: .init(), output: folder("int8.safetensors")
        )
        #expect(abs(report.accuracyChange) <= 0.02)
        #expect(report.sizeRatio > 2.5)
        guard case .bytes(let pixels) = try dataset.pictures("test").values else {
            Issue.record("IDX pictures are bytes")
            return
        }
        let prediction = try predictor.predict(pixels: pixels, count: 100)
        #expect((0..<100).map { prediction.best($0) } == evaluation.predictions)
    }

    @Test func manyThreadsGetTheSameAnswers() async throws {
        let (predictor, _) = try trainedTable()
        let records: [[String: JSONValue]] = (18..<78).map { ["age": .int(Int64($0)), "sex": "f"] }
        let expected = try predictor.predict(records: records)
        let answers = try await mapConcurrently(Array(0..<16), width: 4) { _ in try predictor.predict(records: records)
        }
        #expect(answers.allSatisfy { $0 == expected })
    }

    @Test func wrongInputsAreRefusedWithTheirPlace() throws {
        let (predictor, _) = try trainedTable()
        let missing = try #require(throws: MLOpsError.self) {
            try predictor.predict(records: [["age": 1, "sex": "f"], ["age": 1]])
        }
        #expect(missing.message == "record 1: the record has no column `sex`")
        #expect(throws: MLOpsError.self) { try predictor.predict(features: [1], count: 1) }
        let broken = [Float](repeating: .nan, count: predictor.inputShape.reduce(1, *))
        #expect(throws: MLOpsError.self) { try predictor.predict(features: broken, count: 1) }
        #expect(throws: MLOpsError.self) { try predictor.predict(pixels: [0], count: 1) }
        #expect(try predictor.predict(records: []).count == 0)
    }

    private func fault(_ file: ModelFile) throws -> MLOpsError {
        try #require(throws: MLOpsError.self) { try Predictor(file, path: "m") }
    }

    @Test func aFileThatIsNoModelOrDoesNotFitItselfIsRefused() throws {
        try folder.write("x.safetensors", "hello")
        #expect(throws: MLOpsError.self) { try Predictor(path: folder("x.safetensors")) }
        _ = try trainedTable()
        var file = try ModelFile(path: folder("float.safetensors"))
        file.description.classes.append("third")
        let classes = try fault(file)
        #expect(classes.kind == .damaged && classes.message.contains("3 classes"))
        file = try ModelFile(path: folder("float.safetensors"))
        file.tensors["0.weight"] = nil
        #expect(try fault(file).message.contains("`0.weight` is missing"))
        file = try ModelFile(path: folder("float.safetensors"))
        file.description.architecture.layers = [.linear(inputs: 3, outputs: 1 << 24), .batchNorm1d(features: 1 << 24)]
        #expect(try fault(file).kind == .damaged)
        file = try ModelFile(path: folder("float.safetensors"))
        file.description.input = ["kind": "sound"]
        #expect(try fault(file).kind == .damaged)
        // Two means for three channels would end in an index out of range when the model is asked.
        let normalisation: JSONValue = ["mean": [0.1, 0.2], "deviation": [1, 1]]
        file.description.input = ["kind": "images", "shape": [3, 8, 8], "normalisation": normalisation]
        #expect(try fault(file).message.contains("2 means for 3 channels"))
        file.description.input = ["kind": "images", "shape": [], "normalisation": normalisation]
        #expect(try fault(file).message.contains("is not [channels, height, width]"))
    }
}

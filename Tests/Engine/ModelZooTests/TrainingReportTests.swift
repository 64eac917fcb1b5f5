import Basics
import Datasets
import Drawings
import Interchange
import ModelZoo
import TestSupport
import Tensors
import Testing

/// Pictures of 16 × 16 whose class is the quarter that is bright.
private func makePictures(_ folder: TemporaryFolder, count: Int = 160) throws -> DatasetFolder {
    var random = Philox(seed: 8)
    var pixels: [UInt8] = []
    for index in 0..<count {
        for y in 0..<16 {
            for x in 0..<16 {
                let isBright = (y / 8) * 2 + x / 8 == index % 4
                pixels.append(UInt8(random.nextIndex(below: 60) + (isBright ? 150 : 0)))
            }
        }
    }
    let images: [UInt8] = [0, 0, 8, 3, 0, 0, 0, UInt8(count), 0, 0, 0, 16, 0, 0, 0, 16] + pixels
    let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, UInt8(count)] + (0..<count).map { UInt8($0 % 4) }
    try FileSystem.replaceUnflushed(folder("x"), with: images)
    try FileSystem.replaceUnflushed(folder("y"), with: labels)
    let split = DatasetDescription.Split(images: "x", labels: "y")
    let description = DatasetDescription(kind: .images, name: "quarters", splits: ["train": split, "test": split])
    try description.write(to: folder.path)
    return try DatasetFolder(folder.path)
}

@Suite struct TrainingReportTests {
    private let folder: TemporaryFolder
    private let dataset: DatasetFolder

    init() throws {
        folder = try TemporaryFolder()
        dataset = try makePictures(folder)
    }

    private static let quarters: [(String, JSONValue)] = [
        ("vision/mlp", ["learning_rate": 0.003]), ("vision/lenet5", [:]),
        ("vision/vgg11", ["width": 0.0625, "dropout": 0]), ("vision/resnet20", ["depth": 8, "width": 4]),
        ("vision/resnet20", ["depth": 8, "width": 4, "preactivation": true, "flip": false]),
        ("vision/densenet40", ["depth": 10, "growth": 4, "learning_rate": 0.03]),
        ("vision/mobilenetv2", ["width": 0.1, "dropout": 0]),
    ]

    /// The test of every recipe for pictures: a few pictures are enough to do far better than chance.
    @Test(arguments: quarters)
    func aRecipeLearnsQuarters(_ name: String, _ settings: JSONValue) throws {
        var settings = settings.object ?? [:]
        settings["epochs"] = 8
        settings["batch_size"] = 16
        for key in ["flip", "crop"] where name == "vision/resnet20" { settings[key] = key == "crop" ? 0 : false }
        let model = try TrainingJob(
            recipe: Recipes.named(name), dataset: dataset, config: .object(settings), seed: 1
        ).run()
        let accuracy = try #require(model.history.last?.trainAccuracy)
        #expect(accuracy > 0.8, "\(name): \(accuracy)")
    }

    @Test func aRunThatWasCutShortEndsWithTheSameBytes() async throws {
        let config: JSONValue = ["epochs": 3, "batch_size": 16, "dropout": 0.2, "hidden": [16], "crop": 1]
        let recipe = try Recipes.named("vision/mlp")
        let whole = try TrainingJob(recipe: recipe, dataset: dataset, config: config, seed: 3)
        try whole.run().save(to: folder("whole"))
        let (path, dataset) = (folder("checkpoint"), dataset)
        let cut = Task {
            var observer = TrainingObserver(step: { step in
                if step.epoch == 2, step.step == 4 { withUnsafeCurrentTask { $0?.cancel() } }
            })
            observer.checkpoint = path
            return try TrainingJob(recipe: recipe, dataset: dataset, config: config, seed: 3).run(observer)
        }
        await #expect(throws: CancellationError.self) { try await cut.value }
        var observer = TrainingObserver()
        observer.checkpoint = path
        observer.resumes = true
        let other = try #require(throws: MLOpsError.self) {
            try TrainingJob(recipe: recipe, dataset: dataset, config: config, seed: 4).run(observer)
        }
        #expect(other.message.contains("other settings, data or seed"))
        try TrainingJob(recipe: recipe, dataset: dataset, config: config, seed: 3).run(observer)
            .save(to: folder("resumed"))
        #expect(try folder.read("resumed") == folder.read("whole"))
    }

    @Test func aDiagnosisTellsSaturationAndChangesNothing() throws {
        let config: JSONValue = [
            "epochs": 1, "batch_size": 16, "hidden": [32, 32], "activation": "tanh", "initialization": "wide",
        ]
        let job = try TrainingJob(recipe: Recipes.named("vision/mlp"), dataset: dataset, config: config, seed: 3)
        let model = try job.run(TrainingObserver(diagnoses: true))
        #expect(model.diagnoses.map(\.epoch) == [0, 1])
        let tanh = try #require(model.diagnoses[0].layers.first { $0.kind == "Tanh" })
        #expect(try #require(tanh.saturatedShare) > 0.3 && tanh.path == "2")
        #expect(model.diagnoses[0].findings.contains { $0.hasPrefix("`2` (Tanh)") })
        #expect(NetworkDiagnosis.chart(model.diagnoses)?.svg.contains("<polyline") == true)
        #expect(try job.run().file.tensors["1.weight"]?.floats() == model.file.tensors["1.weight"]?.floats())
    }

    @Test func drawingsHoldWhatTheyShow() throws {
        let matrix = ConfusionMatrix(classes: ["a", "b<"], labels: [0, 0, 1, 1], guesses: [0, 1, 1, 1])
        #expect(matrix.counts == [[1, 1], [0, 2]] && matrix.accuracy == 0.75)
        #expect(matrix.drawing.svg.contains("b&lt;") && !matrix.drawing.svg.contains("b<"))
        let boundary = DecisionBoundary(
            axes: ("x", "y"), classes: ["low", "high"], points: [(0, 0, 0), (1, 1, 1)], side: 10
        ) { places in places.map { $0.x + $0.y > 1 ? 1 : 0 } }
        #expect(boundary.cells.count == 100 && boundary.cells.first == 0 && boundary.cells[9 * 10 + 9] == 0)
        let drawing = boundary.drawing
        #expect(drawing.svg.contains("<circle") && drawing.svg.hasSuffix("</svg>\n"))
        // libpng reads the pixels that were painted.
        for drawing in [drawing, matrix.drawing] {
            try FileSystem.replaceUnflushed(folder("d.png"), with: drawing.png)
            let picture = try PictureReader.read(folder("d.png"))
            let raster = drawing.raster
            #expect([picture.width, picture.height, picture.channels] == [raster.width, raster.height, 3])
            #expect(picture.pixels == raster.rgb)
        }
    }
}

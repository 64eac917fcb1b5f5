import Basics
import Foundation
import TestSupport
import Testing

/// `uses: train` with what it can do beside training.
@Suite struct TrainStepTests {
    private let project: Project

    init() throws {
        project = try Project()
        try FileSystem.createDirectories(project.folder("data"))
        var random = Philox(seed: 2)
        let rows = (0..<240).map { _ -> String in
            let (a, b) = (random.nextUniform(), random.nextUniform())
            return "\(a),\(b),\(a + b > 1 ? "yes" : "no")\n"
        }
        for split in ["train", "test"] { try project.folder.write("data/\(split).csv", rows.joined()) }
        try project.folder.write(
            "data/dataset.json",
            """
            {"format":1,"kind":"tabular","name":"sums","splits":{"train":{"files":["train.csv"]},"test":{"files":["test.csv"]}},
            "columns":[{"name":"a","type":"numeric"},{"name":"b","type":"numeric"},{"name":"c","type":"categorical"}],
            "label":{"column":"c"}}
            """)
    }

    private func write(_ with: String, epochs: Int, model: String = "build/m.safetensors") throws {
        try project.folder.write(
            "p.yaml",
            """
            version: 1
            name: p
            stages:
              train:
                uses: train
                with:
                  recipe: tabular/mlp
                  data: data
                  model: \(model)
                  \(with)
                  settings: { epochs: \(epochs), hidden: [16], batch_size: 16, patience: 0 }
                metrics: [m.json]
            """)
    }

    @Test func itDiagnosesAndDrawsIntoItsOutputs() throws {
        try write("diagnose: true\n      plots: build/plots", epochs: 2)
        try project.mlops("pipeline", "run", "p.yaml").expectSuccess()
        let metrics = try JSONValue(parsing: try project.folder.read("m.json"), source: "m.json")
        #expect(metrics["diagnosis"]?["dead_share"]?.number != nil)
        #expect(metrics["diagnosis"]?["gradient_ratio"]?.number ?? 0 > 0)
        let drawn = try FileSystem.list(project.folder("build/plots")).sorted()
        let names = ["boundary", "confusion", "diagnosis", "learning-curve"]
        #expect(drawn == names.flatMap { ["\($0).png", "\($0).svg"] })
        // The plots are outputs: they come back from the store.
        try FileSystem.removeTree(project.folder("build"))
        let again = try project.mlops("pipeline", "run", "p.yaml")
        #expect(again.output.contains("0 ran, 1 cached"), "\(again.all)")
        #expect(try FileSystem.list(project.folder("build/plots")).count == 8)
    }

    @Test func aRunThatWasCutShortGoesOnToTheSameModel() throws {
        try write("resume: true", epochs: 300)
        let process = try Program.start(["pipeline", "run", "p.yaml"], in: project.path)
        try Program.wait("a checkpoint is there") {
            ((try? FileSystem.list(project.folder(".mlops/training"))) ?? []).contains { $0.hasSuffix(".checkpoint") }
        }
        process.interrupt()
        process.waitUntilExit()
        try #require(process.terminationStatus != 0)
        let resumed = try project.mlops("pipeline", "run", "p.yaml")
        try resumed.expectSuccess()
        #expect(!resumed.all.contains("epoch 1: "), "\(resumed.all)")
        #expect(try FileSystem.list(project.folder(".mlops/training")).isEmpty)
        try write("resume: false", epochs: 300, model: "build/whole.safetensors")
        try project.mlops("pipeline", "run", "p.yaml").expectSuccess()
        let models = try ["m", "whole"].map { try project.folder.read("build/\($0).safetensors") }
        #expect(models[0] == models[1])
    }
}

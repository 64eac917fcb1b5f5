import Basics
import Foundation
import Inference
import Interchange
import ModelZoo
import NeuralNets
import Tensors

/// Inference of a network by its file, as a server does it.
enum InferenceBench {
    private static func architecture(_ name: String) throws -> Architecture {
        let (recipe, side, classes, config): (String, Int, Int, JSONValue) =
            name == "resnet20" ? ("vision/resnet20", 32, 10, [:]) : ("vision/mobilenetv2", 224, 1000, ["width": 1])
        let made = try Recipes.named(recipe)
        let settings = try HyperParameters(resolving: config, of: recipe, declared: made.hyperparameters)
        return try made.architecture(input: [3, side, side], classes: classes, settings: settings)
    }

    static func write(_ name: String, stem: String) throws {
        var random = Philox(seed: 3, stream: "inference")
        let architecture = try architecture(name)
        let network = try architecture.makeNetwork(using: &random, initializer: .kaimingNormal())
        // Norms take their statistics from some batches, so that numbers keep their size from layer to layer.
        for _ in 0..<20 {
            _ = try withoutGradients { try network(.normal([4] + architecture.input, using: &random)) }
        }
        let classes = try architecture.shapes().last?[0] ?? 0
        let description = ModelFile.Description(
            precision: .float32, recipe: name, architecture: architecture, input: .null,
            classes: (0..<classes).map { "class \($0)" }, positiveClass: nil, hyperparameters: [:], seed: 3)
        let model = ModelFile(description: description, tensors: network.state())
        try model.write(to: stem + ".safetensors")
        let bytes = try ONNXExport(model, path: stem, input: .encoded).encode()
        try Data(bytes).write(to: URL(fileURLWithPath: stem + ".onnx"))
    }

    /// One run; returns the outputs.
    static func workload(stem: String, batch: Int) throws -> () throws -> [Float] {
        let path = stem + ".safetensors"
        let plan = try InferencePlan(ModelFile(path: path), path: path)
        let size = plan.inputShape.reduce(1, *)
        let features = (0..<batch * size).map { Float($0 * 7919 % 1000) / 1000 - 0.5 }
        return { try plan.run(features, count: batch) }
    }

    static func printSteps(stem: String, batch: Int, count: Int) throws {
        let path = stem + ".safetensors"
        let plan = try InferencePlan(ModelFile(path: path), path: path)
        let features = [Float](repeating: 0.5, count: batch * plan.inputShape.reduce(1, *))
        var times = plan.steps.map { _ in [Double]() }
        for _ in 0..<count {
            _ = try plan.run(features, count: batch) { times[$0].append($1.seconds * 1e6) }
        }
        for (step, times) in zip(plan.steps, times) {
            let median = times.sorted()[count / 2]
            let speed = Double(step.operations * batch) / median / 1e3
            print(String(format: "%9.1f %8.1f  ", median, speed), step.path, step.name)
        }
    }
}

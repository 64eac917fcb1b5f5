import Basics
import Datasets
import Interchange
import ModelZoo
import NeuralNets
import TestSupport
import Tensors
import Testing

/// Numbers of PyTorch, made by Tests/Fixtures/modelzoo/make_fixtures.py.
private struct Losses: Decodable {
    struct Run: Decodable {
        var recipe: String
        var settings: JSONValue
        var shape: [Int]
        var classes: Int
        var batch: Int
        var losses: [Double]
        /// Of the first step, by the parameter's path; worked out in f64.
        var norms: [String: Double]

        private enum CodingKeys: String, CodingKey {
            case recipe, settings, shape, classes, batch, losses
            case norms = "gradient_norms"
        }
    }

    var examples: Int
    var runs: [Run]

    static func load() throws -> Losses {
        // …/Tests/Engine/ModelZooTests/PyTorchTests.swift
        let tests = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(tests)/Fixtures/modelzoo/losses.json"
        return try JSONValue(parsing: FileSystem.read(path), source: path).decode()
    }
}

/// Numbers in -1 ..< 1 as a function of name and place, as make_fixtures.py has it.
private func fill(_ name: String, count: Int) -> [Double] {
    var seed: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { seed = (seed ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return (0..<count).map { index in
        var x = seed &+ UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15
        x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((x ^ (x >> 31)) >> 40) * 0x1p-23 - 1
    }
}

private func setWeights(of network: Module) throws {
    for (path, parameter) in network.parameters() {
        let shape = parameter.value.shape
        let values = fill(path, count: parameter.value.count).map { value in
            if shape.count > 1 { return value * (4 / Double(shape.dropFirst().reduce(1, *))).squareRoot() }
            return path.hasSuffix("weight") ? 0.5 + 0.1 * value : 0.1 * value
        }
        try parameter.set(Tensor(values.map(Float.init), shape: shape))
    }
}

@Suite struct RecipePyTorchTests {
    @Test(arguments: 0..<10)
    func theFirstTwentyLossesArePyTorchs(_ index: Int) throws {
        let fixture = try Losses.load()
        let run = fixture.runs[index]
        let recipe = try Recipes.named(run.recipe)
        let settings = try HyperParameters(
            resolving: run.settings, of: recipe.name, declared: recipe.hyperparameters)
        var random = Philox(seed: 0)
        let network = try recipe.architecture(input: run.shape, classes: run.classes, settings: settings)
            .makeNetwork(using: &random)
        try setWeights(of: network)
        let optimizer: any Optimizer =
            recipe.method == .perceptronRule
            ? SGD(network.parameters().map(\.parameter), learningRate: 0.1)
            : TrainingPlan(settings).makeOptimizer(for: network)
        let size = run.shape.reduce(1, *)
        let examples = Tensor(
            fill("examples", count: fixture.examples * size).map(Float.init), shape: [fixture.examples] + run.shape)
        for (step, expected) in run.losses.enumerated() {
            let rows = (0..<run.batch).map { (step * run.batch + $0) % fixture.examples }
            let inputs = try examples.gatherRows(Tensor(rows.map(Int64.init)))
            let labels = Tensor(rows.map { Int64(($0 * 7 + 3) % run.classes) })
            let loss = try network(inputs).crossEntropy(labels)
            let parameters = network.parameters()
            let gradients = try grad(of: loss, with: parameters.map(\.parameter.value))
            for (entry, gradient) in zip(parameters, gradients) { entry.parameter.gradient = gradient }
            if step == 0 {
                #expect(Set(parameters.map(\.path)) == Set(run.norms.keys))
                try check(zip(parameters.map(\.path), gradients), against: run.norms, in: network)
            }
            try optimizer.step()
            let found = try loss.item()
            #expect(
                abs(found - expected) <= 1e-4 * expected,
                "\(run.recipe) step \(step + 1): \(found), PyTorch \(expected)")
        }
    }

    /// Every parameter's gradient is not zero, and as long as PyTorch's.
    private func check(
        _ gradients: some Sequence<(String, Tensor)>, against norms: [String: Double], in network: Module
    ) throws {
        let largest = norms.values.max() ?? 0
        for (path, gradient) in gradients {
            let norm = try gradient.sumOfSquares().squareRoot()
            let expected = norms[path] ?? .nan
            // A bias that the next batch norm takes away has none: rounding alone.
            guard expected > largest * 1e-9 else { continue }
            #expect(norm > 0 && abs(norm - expected) <= 5e-3 * expected, "\(path): \(norm), PyTorch \(expected)")
        }
    }
}

import Basics
import Datasets
import Interchange
import ModelZoo
import NeuralNets
import Tensors

/// Untrained model files in which no tensor is like another, running statistics included.
enum ExampleModel {
    static func make(
        _ architecture: Architecture, input: InputEncoding, classes: Int, recipe: String = "test", seed: UInt64 = 1
    ) throws -> ModelFile {
        var random = Philox(seed: seed)
        let network = try architecture.makeNetwork(using: &random)
        var tensors: [String: Tensor] = [:]
        for (name, tensor) in network.state().sorted(by: { $0.key < $1.key }) {
            if name.hasSuffix("running_var") {
                tensors[name] = .uniform(tensor.shape, in: 0.5..<2, using: &random)
            } else if tensor.dtype == .f32, tensor.rank == 1 {
                tensors[name] = .uniform(tensor.shape, in: -0.3..<0.9, using: &random)
            } else {
                tensors[name] = tensor
            }
        }
        let description = ModelFile.Description(
            precision: .float32, recipe: recipe, architecture: architecture, input: try JSONValue(encoding: input),
            classes: (0..<classes).map { "class \($0)" }, positiveClass: nil, hyperparameters: [:], seed: seed)
        return ModelFile(description: description, tensors: tensors)
    }

    /// A recipe's network: for pictures of `shape`, or for the columns of `encoder`.
    static func make(_ recipe: any Recipe, config: JSONValue = .null, shape: [Int] = [1, 28, 28]) throws -> ModelFile {
        let settings = try HyperParameters(
            resolving: config, of: recipe.name, declared: recipe.hyperparameters)
        let input: InputEncoding =
            switch recipe.kind {
            case .tabular: .tabular(try encoder())
            case .images: .images(shape: shape, normalisation: PixelNormalisation(mean: 0.286, deviation: 0.353))
            }
        let architecture = try recipe.architecture(input: input.shape, classes: 10, settings: settings)
        return try make(architecture, input: input, classes: 10, recipe: recipe.name)
    }

    /// Two numbers, a text with a place for missing ones, a number, a text without.
    static func encoder(naming first: String = "age") throws -> TabularEncoder {
        let json: JSONValue = [
            "missing": "?",
            "fields": [
                ["name": .string(first), "mean": 38.58, "deviation": 13.64],
                ["name": "weight", "mean": 189_778.3, "deviation": 105_549.9],
                ["name": "work", "categories": ["Private", "State, gov", "é \"quoted\""], "missing_category": true],
                ["name": "gain", "mean": 0, "deviation": 1],
                ["name": "sex", "categories": ["Female", "Male"]],
            ],
        ]
        return try json.decode()
    }
}

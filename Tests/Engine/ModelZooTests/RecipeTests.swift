import Basics
import Datasets
import Interchange
import ModelZoo
import NeuralNets
import TestSupport
import Tensors
import Testing

@Suite struct RecipeTests {
    @Test func aRecipeIsFoundByNameOrSuggested() throws {
        #expect(try Recipes.named("tabular/mlp").kind == .tabular)
        let near = try #require(throws: MLOpsError.self) { try Recipes.named("vision/lenet") }
        #expect(near.kind == .notFound && near.hint == "did you mean `vision/lenet5`?")
        let far = try #require(throws: MLOpsError.self) { try Recipes.named("transformer") }
        #expect(far.hint?.hasPrefix("there are tabular/perceptron, tabular/mlp, vision/mlp, vision/lenet5") == true)
    }

    @Test func everySettingAcceptsItsDefault() {
        for recipe in Recipes.all {
            for parameter in recipe.hyperparameters {
                #expect(parameter.accepts(parameter.defaultValue), "\(recipe.name) \(parameter.name)")
            }
            #expect(Set(recipe.hyperparameters.map(\.name)).count == recipe.hyperparameters.count)
        }
    }

    private static let wrongSettings: [(JSONValue, String, String)] = [
        (["lerning_rate": 0.1], "has no setting `lerning_rate`", "did you mean `learning_rate`?"),
        (["epochs": 0], "is 0, expected a whole number in 1...10000", "passes over"),
        (["epochs": 2.5], "is 2.5, expected a whole number", "epochs"),
        (["dropout": "high"], "is \"high\", expected a number in 0...0.9", "dropout"),
        (["hidden": [64, 0]], "is [64,0], expected a list", "hidden"),
        (["optimizer": "adams"], "expected one of adamw, sgd", "optimizer"),
        (["batch_norm": 1], "expected true or false", "batch_norm"),
        ("fast", "is not a map of settings", ""),
    ]

    @Test(arguments: wrongSettings)
    func aWrongSettingSaysWhatIsAccepted(_ config: JSONValue, _ words: String, _ hint: String) throws {
        let recipe = TabularMLP()
        let error = try #require(throws: MLOpsError.self) {
            try HyperParameters(resolving: config, of: recipe.name, declared: recipe.hyperparameters)
        }
        #expect(error.kind == .usage)
        #expect(error.message.contains(words))
        #expect((error.hint ?? "").contains(hint))
    }

    @Test func leNetHasThePapersSizes() throws {
        let recipe = LeNet5()
        let settings = try HyperParameters(resolving: nil, of: recipe.name, declared: recipe.hyperparameters)
        let architecture = try recipe.architecture(input: [1, 28, 28], classes: 10, settings: settings)
        let pictures = try architecture.shapes().filter { $0.count == 3 }
        let expected = [
            [1, 28, 28], [6, 28, 28], [6, 28, 28], [6, 14, 14], [16, 10, 10], [16, 10, 10], [16, 5, 5],
        ]
        #expect(pictures == expected)
        var random = Philox(seed: 0)
        // C1 156, C3 2416 with every map connected, C5 48120, F6 10164, output 850.
        let network = try architecture.makeNetwork(using: &random)
        let count = 156 + 2416 + 48120 + 10164 + 850
        #expect(network.parameterCount == count)
        #expect(throws: MLOpsError.self) { try recipe.architecture(input: [108], classes: 2, settings: settings) }
    }

    /// A parameter without a gradient would never learn, silently.
    @Test func everyParameterOfEveryRecipeGetsAGradient() throws {
        let inputs: [DatasetDescription.Kind: [Int]] = [.tabular: [12], .images: [1, 28, 28]]
        for recipe in Recipes.all {
            let settings = try HyperParameters(resolving: nil, of: recipe.name, declared: recipe.hyperparameters)
            let input = try #require(inputs[recipe.kind])
            var random = Philox(seed: 4)
            let network = try recipe.architecture(input: input, classes: 3, settings: settings)
                .makeNetwork(using: &random)
            let x = Tensor.normal([16] + input, using: &random)
            let labels = Tensor((0..<16).map { Int64($0 % 3) })
            let parameters = network.parameters()
            let gradients = try grad(
                of: try network(x).crossEntropy(labels), with: parameters.map(\.parameter.value))
            for (parameter, gradient) in zip(parameters, gradients) {
                // A bias in front of a batch norm has none to get: the norm takes it away again.
                let isAbsorbed = parameter.path.hasSuffix("bias") && isBeforeNorm(parameter.path, in: network)
                #expect(isAbsorbed || gradient.floats().contains { $0 != 0 }, "\(recipe.name) \(parameter.path)")
            }
        }
    }

    /// Two clouds that a line divides: the rule ends with no mistake (Novikoff, 1962).
    @Test func thePerceptronDividesWhatALineDivides() throws {
        let folder = try TemporaryFolder()
        var random = Philox(seed: 3)
        func rows(_ count: Int) -> String {
            (0..<count).map { _ in
                let (a, b) = (random.nextUniform() * 4 - 2, random.nextUniform() * 4 - 2)
                let side = a + 2 * b > 0.3
                return "\(a + (side ? 0.2 : -0.2)),\(b),\(side ? "up" : "down")\n"
            }.joined()
        }
        try folder.write("train.csv", rows(200))
        try folder.write("test.csv", rows(200))
        var description = DatasetDescription(
            kind: .tabular, name: "clouds",
            splits: ["train": .init(files: ["train.csv"]), "test": .init(files: ["test.csv"])])
        description.columns = [
            .init(name: "a", type: .numeric), .init(name: "b", type: .numeric),
            .init(name: "label", type: .categorical),
        ]
        description.label = .init(column: "label")
        try description.write(to: folder.path)
        let job = try TrainingJob(recipe: Perceptron(), dataset: DatasetFolder(folder.path), config: nil, seed: 1)
        let model = try job.run()
        #expect(model.history.last?.trainLoss == 0 && model.history.count < 100)
        #expect(model.parameterCount == 6)
        #expect(try job.run().file.tensors["0.weight"]?.floats() == model.file.tensors["0.weight"]?.floats())
    }

    private func isBeforeNorm(_ path: String, in network: Sequential) -> Bool {
        guard let place = path.split(separator: ".").first.flatMap({ Int($0) }) else { return false }
        return network.children.indices.contains(place + 1) && network.children[place + 1].module is BatchNorm
    }
}

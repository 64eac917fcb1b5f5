internal import Basics
package import Datasets
package import Interchange

/// A multi-layer perceptron for tables.
package struct TabularMLP: Recipe {
    package let name = "tabular/mlp"
    package let summary = "Multi-layer perceptron over standardised numbers and one-hot categories"
    package let source =
        "Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, Nature 323, 1986"
    package let kind = DatasetDescription.Kind.tabular

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter(
                "hidden", .integers(1...8192, maximumCount: 16), default: [128, 64], "widths of the hidden layers"),
            HyperParameter("batch_norm", .boolean, default: true, "normalise each hidden layer over the batch"),
            HyperParameter("dropout", .number(0...0.9), default: 0.2, "share of hidden units zeroed in training"),
            HyperParameter(
                "activation", .choice(["relu", "tanh", "gelu"]), default: "relu", "what follows each hidden layer"),
        ]
            + TrainingPlan.parameters(
                epochs: 16, batchSize: 256, learningRate: 0.002, weightDecay: 0.01, warmUpEpochs: 1,
                validationShare: 0.1, patience: 5)
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        guard input.count == 1 else {
            throw MLOpsError(
                .usage, "recipe `\(name)` takes tables, not examples of shape \(input)", hint: "use `vision/lenet5`")
        }
        var layers: [LayerSpec] = []
        var width = input[0]
        for hidden in settings.integers("hidden") {
            layers.append(.linear(inputs: width, outputs: hidden))
            if settings.boolean("batch_norm") { layers.append(.batchNorm1d(features: hidden)) }
            layers.append(TabularMLP.activations[settings.text("activation")] ?? .relu)
            if settings.number("dropout") > 0 { layers.append(.dropout(probability: settings.number("dropout"))) }
            width = hidden
        }
        layers.append(.linear(inputs: width, outputs: classes))
        return Architecture(input: input, layers: layers)
    }

    private static let activations: [String: LayerSpec] = ["relu": .relu, "tanh": .tanh, "gelu": .gelu]
}

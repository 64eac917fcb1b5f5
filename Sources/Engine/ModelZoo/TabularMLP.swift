internal import Basics
package import Datasets
package import Interchange

/// A multi-layer perceptron for tables.
package struct TabularMLP: Recipe {
    package let name = "tabular/mlp"
    package let summary = "Multi-layer perceptron over standardised numbers and one-hot categories"
    package let source =
        "Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, Nature 323, 1986"
    package let deviations = [
        "ReLU, batch norm and dropout instead of sigmoid units, cross-entropy instead of the squared error",
        "AdamW with warm-up and a cosine, and early stopping",
    ]
    package let goals = [
        RecipeGoal("UCI Adult", accuracy: 0.85),
        RecipeGoal(
            "breast cancer, 25 % held out", accuracy: 0.958,
            settings: ["epochs": 40, "batch_size": 32, "validation_share": 0, "average_decay": 0.98]),
    ]
    package let kind = DatasetDescription.Kind.tabular

    package init() {}

    package var hyperparameters: [HyperParameter] {
        [
            HyperParameter(
                "hidden", .integers(1...8192, maximumCount: 16), default: [128, 64], "widths of the hidden layers"),
            HyperParameter("batch_norm", .boolean, default: true, "normalise each hidden layer over the batch"),
            HyperParameter("dropout", .number(0...0.9), default: 0.2, "share of hidden units zeroed in training"),
            Blocks.activationSetting, TrainingPlan.mixupParameter,
        ]
            + TrainingPlan.parameters(
                TrainingPlan.Defaults(
                    epochs: 16, batchSize: 256, learningRate: 0.002, weightDecay: 0.01, warmUpEpochs: 1,
                    validationShare: 0.1, patience: 5))
    }

    package func architecture(input: [Int], classes: Int, settings: HyperParameters) throws -> Architecture {
        guard input.count == 1 else {
            throw MLOpsError(
                .usage, "recipe `\(name)` takes tables, not examples of shape \(input)", hint: "use `vision/mlp`")
        }
        return Architecture(
            input: input, layers: TabularMLP.layers(from: input[0], to: classes, settings: settings))
    }

    /// Hidden layers of the settings' widths, and the last one.
    static func layers(from inputs: Int, to classes: Int, settings: HyperParameters) -> [LayerSpec] {
        var layers: [LayerSpec] = []
        var width = inputs
        for hidden in settings.integers("hidden") {
            layers.append(.linear(inputs: width, outputs: hidden))
            if settings.boolean("batch_norm") { layers.append(.batchNorm1d(features: hidden)) }
            layers.append(Blocks.activation(named: settings.text("activation")))
            if settings.number("dropout") > 0 { layers.append(.dropout(probability: settings.number("dropout"))) }
            width = hidden
        }
        return layers + [.linear(inputs: width, outputs: classes)]
    }
}
